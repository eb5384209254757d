"""The matrices of a LoRA as one network: what is fitted, averaged and kept, and nothing else.

The model that they change has a hundred times as many numbers; it is neither copied nor kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from isocenter.modelpack.stable_diffusion.adapter import WEIGHTS, lora_mixin
from isocenter.modelpack.stable_diffusion.libraries import library
from isocenter.modelpack.stable_diffusion.parts import StableParts

NETWORK_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
_ENCODERS = ("text_encoder", "text_encoder_2")
# Names of modules may hold no dot.
_DOT = "/"


class LoraNetwork(nn.Module):
    """Pairs of small matrices beside those of the attention of a model.

    A matrix W becomes W + B A with A of ``rank`` rows; B begins at zero, so the model begins
    unchanged. A copy shares the model and has matrices of its own.

    Attributes:
        parts: the model, changed in place; its own weights are not among the parameters here.

    Source: Hu et al., ICLR 2022.
    """

    parts: StableParts

    def __init__(self, parts: StableParts, *, rank: int, with_text: bool = False) -> None:
        """Put matrices on a model.

        Args:
            parts: of a model that has no LoRA yet.
            rank: rows of A.
            with_text: also on the text encoders.
        """
        super().__init__()
        self.parts = parts
        _add(parts.unet, rank, NETWORK_TARGETS)
        for encoder in parts.text_encoders if with_text else ():
            _add(encoder, rank, TEXT_TARGETS)
        live = dict(_live(parts))
        for weight in live.values():
            weight.data = weight.data.float()  # half precision is too coarse for small steps
        self.matrices = nn.ParameterDict({_name(name): weight for name, weight in live.items()})

    def __deepcopy__(self, memo: dict[int, Any]) -> LoraNetwork:
        other = type(self).__new__(type(self))
        nn.Module.__init__(other)
        other.parts = self.parts
        other.matrices = copy.deepcopy(self.matrices, memo)
        return other

    @contextmanager
    def put_on(self) -> Iterator[StableParts]:
        """The model with these matrices while the block runs, then with those it had."""
        live = dict(_live(self.parts))
        before = {name: weight.data for name, weight in live.items()}
        try:
            for name, weight in live.items():
                weight.data = self.matrices[_name(name)].data
            yield self.parts
        finally:
            for name, weight in live.items():
                weight.data = before[name]

    def is_without_effect(self) -> bool:
        """Whether every B is zero still."""
        return not any(
            bool(weight.any()) for name, weight in self.matrices.items() if "lora_B" in name
        )

    def save(self, folder: Path) -> Path:
        """Write the file of tensors that diffusers reads into a folder that exists."""
        with self.put_on() as parts:
            layers = {"unet": _state(parts.unet)}
            for role, encoder in zip(_ENCODERS, parts.text_encoders, strict=False):
                if getattr(encoder, "peft_config", None):
                    layers[role] = _state(encoder)
        lora_mixin(is_xl=parts.is_xl).save_lora_weights(
            folder,
            safe_serialization=True,
            **{f"{role}_lora_layers": state for role, state in layers.items()},
        )
        return folder / WEIGHTS


def _add(network: Any, rank: int, targets: tuple[str, ...]) -> None:
    # What is added counts alpha / rank times: alpha = rank needs no word in the file of tensors.
    network.add_adapter(
        library("peft").LoraConfig(
            r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(targets)
        )
    )


def _live(parts: StableParts) -> Iterator[tuple[str, nn.Parameter]]:
    """The matrices as the model uses them, by name."""
    networks: Mapping[str, nn.Module] = {
        "unet": parts.unet,
        **dict(zip(_ENCODERS, parts.text_encoders, strict=False)),
    }
    for role, network in networks.items():
        for name, weight in network.named_parameters():
            if ".lora_" in name:
                yield f"{role}.{name}", weight


def _name(name: str) -> str:
    return name.replace(".", _DOT)


def _state(network: Any) -> dict[str, Tensor]:
    convert = library("diffusers.utils").convert_state_dict_to_diffusers
    state = convert(library("peft").get_peft_model_state_dict(network))
    return {name: weight.detach().cpu().to(torch.float32).clone() for name, weight in state.items()}
