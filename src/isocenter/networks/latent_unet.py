"""The denoiser of latents, told by classes, numbers, words, boxes and guide images.

Axes: B batch, C channel, H row, W column of the latent; K categories, N numbers, L words, T width
of a token.

MONAI's ``DiffusionModelUNet`` does the work. What is known of the wished image reaches it in three
ways: as a vector beside the time, as tokens for cross-attention, and as further input channels for
what has a place. Every condition may be missing, and missing is something the network has learned.

Sources: Ho et al., NeurIPS 2020; Rombach et al., CVPR 2022; Zhang et al., ICCV 2023 (ControlNet).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from monai.networks.blocks.crossattention import CrossAttentionBlock
from monai.networks.nets.controlnet import ControlNet
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor, nn

# Sizes beyond these are a mistake or an attack: a configuration may come from anywhere.
MOST_CHANNELS = 2048
MOST_LEVELS = 6
MOST_BLOCKS = 8
MOST_VALUES = 4096
TIME_SCALE = 1000.0  # a time from 0 to 1 as the sinusoids of MONAI's embedding want it
_WAVES = 3
_PLACED_CHANNELS = 3  # the box, whether there is one, whether there is a guide


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a batch of images is to be; each image may lack any of it.

    Attributes:
        categories: (B, K) whole numbers; 0 is "not said", the values of a category count from 1.
        numbers: (B, N), scaled to about -1..1; NaN is "not said".
        words: (B, L, width of the text encoder).
        spoken: (B, L) True where there is a word.
        meaning: (B, width of the text encoder), the whole text.
        box: (B, 1, H, W), share of each latent's field that lies in the box.
        boxed: (B,) True where there is a box.
        guide: (B, C, H, W), the normalized latent of a guide image.
        guided: (B,) True where there is a guide.
    """

    categories: Tensor
    numbers: Tensor
    words: Tensor
    spoken: Tensor
    meaning: Tensor
    box: Tensor
    boxed: Tensor
    guide: Tensor
    guided: Tensor

    def __len__(self) -> int:
        return len(self.categories)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with every tensor put through ``change``, such as indexing or moving."""
        return replace(self, **{name: change(tensor) for name, tensor in self.named().items()})

    def named(self) -> dict[str, Tensor]:
        """Every tensor by its name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def without(self, *, kept_categories: Sequence[int] = ()) -> Self:
        """Nothing said but the categories in these places, such as the family."""
        categories = torch.zeros_like(self.categories)
        for place in kept_categories:
            categories[:, place] = self.categories[:, place]
        return replace(
            self,
            categories=categories,
            numbers=torch.full_like(self.numbers, math.nan),
            spoken=torch.zeros_like(self.spoken),
            boxed=torch.zeros_like(self.boxed),
            guided=torch.zeros_like(self.guided),
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One batch of several."""
        names = [one.name for one in fields(cls)]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


class LatentUNet(nn.Module):
    """Predicts what the process asks for (such as a velocity) from a noisy latent.

    Args:
        latent_channels: of the latent.
        category_sizes: how many values each category has.
        num_numbers: how many numbers may be said.
        text_width: of the words' vectors.
        token_width: of the tokens for cross-attention.
        channels: of each level, from the finest.
        attention: for each level, whether it attends.
        blocks: residual blocks a level.
        head_channels: of an attention head; divides the channels of each level that attends.
        norm_groups: of the group normalization; divides every number of channels.

    Raises:
        ValueError: sizes out of range or that do not fit each other.
    """

    def __init__(
        self,
        *,
        latent_channels: int = 8,
        category_sizes: Sequence[int] = (1,),
        num_numbers: int = 0,
        text_width: int = 128,
        token_width: int = 128,
        channels: Sequence[int] = (96, 128, 192),
        attention: Sequence[bool] = (False, True, True),
        blocks: int = 1,
        head_channels: int = 32,
        norm_groups: int = 16,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "latent_channels": latent_channels,
            "category_sizes": list(category_sizes),
            "num_numbers": num_numbers,
            "text_width": text_width,
            "token_width": token_width,
            "channels": list(channels),
            "attention": list(attention),
            "blocks": blocks,
            "head_channels": head_channels,
            "norm_groups": norm_groups,
        }
        _check(self.config)
        self.latent_channels = latent_channels
        self.told = _Told(
            category_sizes=category_sizes,
            num_numbers=num_numbers,
            text_width=text_width,
            token_width=token_width,
            vector_width=4 * channels[0],
        )
        self.network = DiffusionModelUNet(
            in_channels=2 * latent_channels + _PLACED_CHANNELS,
            out_channels=latent_channels,
            cross_attention_dim=token_width,
            **_monai_arguments(self.config),
        )
        self.network.class_embedding = nn.Identity()  # the vector comes ready

    def forward(
        self,
        state: Tensor,
        time: Tensor,
        conditions: Conditions,
        control: Control | None = None,
    ) -> Tensor:
        """The prediction, (B, C, H, W).

        Args:
            state: (B, C, H, W), the noisy latent.
            time: (B,), from 0 (clean) to 1 (noise).
            conditions: what the images are to be.
            control: what a ControlNet adds; see :class:`LatentControlNet`.
        """
        vector, tokens = self.told(conditions)
        placed = placed_input(state, conditions)
        out: Tensor = self.network(
            placed,
            TIME_SCALE * time,
            context=tokens,
            class_labels=vector,
            down_block_additional_residuals=None if control is None else control.down,
            mid_block_additional_residual=None if control is None else control.middle,
        )
        return out

    def num_tokens_before_words(self) -> int:
        """Tokens of categories and numbers, which stand before the words."""
        return len(self.config["category_sizes"]) + int(self.config["num_numbers"])

    @contextmanager
    def watching_attention(self) -> Iterator[list[Tensor]]:
        """Collect where each token acted, while the network is called in here.

        Gives:
            A list that gets one tensor (B, positions, tokens) a cross-attention layer and call:
            the share of each token in what each position took up, mean over the heads.
        """
        found: list[Tensor] = []

        def look(layer: nn.Module, inputs: tuple[Tensor, ...], kept: dict[str, Tensor]) -> None:
            assert isinstance(layer, CrossAttentionBlock)
            context = kept.get("context", inputs[1] if len(inputs) > 1 else None)
            if context is not None:
                found.append(_attention_of(layer, inputs[0], context))

        handles = [
            layer.register_forward_pre_hook(look, with_kwargs=True)
            for layer in self.network.modules()
            if isinstance(layer, CrossAttentionBlock)
        ]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()


@dataclass(frozen=True, kw_only=True)
class Control:
    """What a ControlNet adds to the features of the network that it steers.

    Attributes:
        down: one tensor for each skip connection.
        middle: for the coarsest features.
    """

    down: list[Tensor]
    middle: Tensor


class LatentControlNet(nn.Module):
    """Steers a frozen :class:`LatentUNet` by an image, such as a mask the network never saw.

    Args:
        control_channels: of the image that steers, at the size of the latent.
        config: of the network that is steered.

    Source: Zhang et al., ICCV 2023.
    """

    def __init__(self, *, control_channels: int, config: dict[str, Any]) -> None:
        super().__init__()
        if not 1 <= control_channels <= MOST_CHANNELS:
            raise ValueError(
                f"control_channels is within 1..{MOST_CHANNELS}, got {control_channels!r}"
            )
        self.config: dict[str, Any] = {"control_channels": control_channels, "config": dict(config)}
        _check(config)
        self.told = _Told(
            category_sizes=config["category_sizes"],
            num_numbers=config["num_numbers"],
            text_width=config["text_width"],
            token_width=config["token_width"],
            vector_width=4 * config["channels"][0],
        )
        self.network = ControlNet(
            in_channels=2 * config["latent_channels"] + _PLACED_CHANNELS,
            cross_attention_dim=config["token_width"],
            conditioning_embedding_in_channels=control_channels,
            conditioning_embedding_num_channels=(32, 64),
            **_monai_arguments(config),
        )
        self.network.class_embedding = nn.Identity()
        # MONAI's embedding halves its image between its layers, as its images are not latents.
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")

    @classmethod
    def beside(cls, steered: LatentUNet, *, control_channels: int) -> Self:
        """One that begins with the weights of the network that it steers, and adds nothing yet."""
        made = cls(control_channels=control_channels, config=steered.config)
        made.told.load_state_dict(steered.told.state_dict())
        own = made.network.state_dict()
        made.network.load_state_dict(
            {name: value for name, value in steered.network.state_dict().items() if name in own},
            strict=False,
        )
        return made

    def forward(
        self, state: Tensor, time: Tensor, conditions: Conditions, image: Tensor
    ) -> Control:
        """What is added, from an image (B, control_channels, H, W)."""
        vector, tokens = self.told(conditions)
        down, middle = self.network(
            placed_input(state, conditions),
            TIME_SCALE * time,
            controlnet_cond=self.enlarge(image),
            context=tokens,
            class_labels=vector,
        )
        return Control(down=list(down), middle=middle)


def placed_input(state: Tensor, conditions: Conditions) -> Tensor:
    """The noisy latent with everything beside it that has a place."""
    boxed = conditions.boxed.to(state.dtype)[:, None, None, None]
    guided = conditions.guided.to(state.dtype)[:, None, None, None]
    plane = torch.ones_like(state[:, :1])
    return torch.cat(
        [
            state,
            conditions.guide.to(state.dtype) * guided,
            conditions.box.to(state.dtype) * boxed,
            boxed * plane,
            guided * plane,
        ],
        dim=1,
    )


class _Told(nn.Module):
    """Conditions without a place, as a vector and as tokens."""

    def __init__(
        self,
        *,
        category_sizes: Sequence[int],
        num_numbers: int,
        text_width: int,
        token_width: int,
        vector_width: int,
    ) -> None:
        super().__init__()
        self.categories = nn.ModuleList(
            nn.Embedding(size + 1, token_width) for size in category_sizes
        )
        self.number_weights = nn.Parameter(
            0.5 * torch.randn(num_numbers, 1 + 2 * _WAVES, token_width)
        )
        self.number_missing = nn.Parameter(torch.randn(num_numbers, token_width))
        self.word = nn.Linear(text_width, token_width)
        self.no_word = nn.Parameter(torch.randn(token_width))
        self.meaning = nn.Linear(text_width, token_width)
        self.no_meaning = nn.Parameter(torch.zeros(token_width))
        self.vector = nn.Sequential(
            nn.Linear(token_width, vector_width), nn.SiLU(), nn.Linear(vector_width, vector_width)
        )

    def forward(self, conditions: Conditions) -> tuple[Tensor, Tensor]:
        """(B, vector width) and (B, K + N + L, T)."""
        told = [
            embedding(conditions.categories[:, place])
            for place, embedding in enumerate(self.categories)
        ]
        numbers = self._numbers(conditions.numbers)
        tokens = torch.cat([torch.stack(told, dim=1), numbers], dim=1)
        words = torch.where(conditions.spoken[..., None], self.word(conditions.words), self.no_word)
        has_text = conditions.spoken.any(dim=1)[:, None]
        meaning = torch.where(has_text, self.meaning(conditions.meaning), self.no_meaning)
        vector = self.vector(tokens.sum(dim=1) + meaning)
        return vector, torch.cat([tokens, words.to(tokens.dtype)], dim=1)

    def _numbers(self, numbers_BN: Tensor) -> Tensor:
        there = ~numbers_BN.isnan()
        value = numbers_BN.nan_to_num().float()
        angles = [math.pi * 2.0**wave * value for wave in range(_WAVES)]
        features = torch.stack(
            [value, *(angle.sin() for angle in angles), *(angle.cos() for angle in angles)], dim=-1
        )
        told = torch.einsum("bnf,nft->bnt", features, self.number_weights.float())
        return torch.where(there[..., None], told, self.number_missing.float())


def _attention_of(layer: CrossAttentionBlock, features: Tensor, context: Tensor) -> Tensor:
    with torch.no_grad():
        query = layer.input_rearrange(layer.to_q(features))
        key = layer.input_rearrange(layer.to_k(context))
        scores = torch.einsum("bhpd,bhtd->bhpt", query.float(), key.float()) * layer.scale
        return scores.softmax(dim=-1).mean(dim=1)


def _monai_arguments(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "spatial_dims": 2,
        "channels": tuple(config["channels"]),
        "attention_levels": tuple(config["attention"]),
        "num_res_blocks": config["blocks"],
        "num_head_channels": tuple(
            config["head_channels"] if attends else 0 for attends in config["attention"]
        ),
        "norm_num_groups": config["norm_groups"],
        "with_conditioning": True,
        "transformer_num_layers": 1,
        "num_class_embeds": 1,
        "use_flash_attention": True,
    }


def _check(config: dict[str, Any]) -> None:
    channels, attention = config["channels"], config["attention"]
    if not 1 <= len(channels) <= MOST_LEVELS or len(attention) != len(channels):
        raise ValueError(
            f"1 to {MOST_LEVELS} levels are taken, and channels and attention name as many; got "
            f"{len(channels)} and {len(attention)}"
        )
    if not attention[-1]:
        raise ValueError("the coarsest level must attend, as words act there")
    for name, size, least, most in (
        *(("channels", one, 1, MOST_CHANNELS) for one in channels),
        *(("category_sizes", one, 1, MOST_VALUES) for one in config["category_sizes"]),
        ("latent_channels", config["latent_channels"], 1, MOST_CHANNELS),
        ("num_numbers", config["num_numbers"], 0, MOST_VALUES),
        ("text_width", config["text_width"], 1, MOST_CHANNELS),
        ("token_width", config["token_width"], 1, MOST_CHANNELS),
        ("blocks", config["blocks"], 1, MOST_BLOCKS),
        ("head_channels", config["head_channels"], 1, MOST_CHANNELS),
        ("norm_groups", config["norm_groups"], 1, MOST_CHANNELS),
    ):
        if not isinstance(size, int) or isinstance(size, bool) or not least <= size <= most:
            raise ValueError(f"{name} must be whole and within {least}..{most}, got {size!r}")
    if not config["category_sizes"]:
        raise ValueError("category_sizes must name at least one category, such as the family")
    for each, attends in zip(channels, attention, strict=True):
        if each % config["norm_groups"] or (attends and each % config["head_channels"]):
            raise ValueError(
                f"norm_groups ({config['norm_groups']}) must divide all channels and head_channels "
                f"({config['head_channels']}) those of levels that attend; got {list(channels)}"
            )
