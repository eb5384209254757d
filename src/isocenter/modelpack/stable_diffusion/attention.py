"""Where the network looked for each word: its cross-attention, gathered over a whole picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from isocenter.modelpack.stable_diffusion.parts import StableParts

_CROSS = "attn2"  # what diffusers calls the attention to text in a block


class AttentionSum:
    """Attention to each token, summed over heads, levels and steps.

    Attributes:
        total: (token, row, column) of the latent, None before the first step.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._size = rows, columns
        self.total: Tensor | None = None

    def add(self, shares: Tensor) -> None:
        """Take (head, place, token) of one level, whose places are a smaller picture in rows."""
        rows, columns = self._size
        factor = round((rows * columns / shares.shape[1]) ** 0.5)
        level = -(-rows // factor), -(-columns // factor)
        if level[0] * level[1] != shares.shape[1]:
            return
        picture = shares.float().mean(0).T.reshape(1, -1, *level)
        large = functional.interpolate(picture, self._size, mode="bilinear")[0].cpu()
        self.total = large if self.total is None else self.total + large


class _Watched:
    """Attention of diffusers, computed in steps that can be looked at."""

    def __init__(self, gathered: AttentionSum) -> None:
        self.gathered = gathered

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        assert encoder_hidden_states is not None
        query = attention.head_to_batch_dim(attention.to_q(hidden_states))
        key = attention.head_to_batch_dim(attention.to_k(encoder_hidden_states))
        value = attention.head_to_batch_dim(attention.to_v(encoder_hidden_states))
        shares = attention.get_attention_scores(query, key, attention_mask)
        told = shares[len(shares) - attention.heads :]  # the text's half comes last
        self.gathered.add(told)
        mixed = attention.batch_to_head_dim(torch.bmm(shares, value))
        projected: Tensor = attention.to_out[1](attention.to_out[0](mixed))
        return projected / attention.rescale_output_factor


@contextmanager
def watched(unet: Any, latent: Tensor) -> Iterator[AttentionSum]:
    """Gather the attention to text of a network while the block runs.

    Args:
        unet: of diffusers; gets its own attention back afterwards.
        latent: (1, channel, row, column) that it will be given.
    """
    rows, columns = latent.shape[-2:]
    gathered = AttentionSum(rows, columns)
    blocks: dict[str, nn.Module] = {
        name: module for name, module in unet.named_modules() if name.endswith(_CROSS)
    }
    before = {name: module.processor for name, module in blocks.items()}
    try:
        for module in blocks.values():
            module.processor = _Watched(gathered)  # type: ignore[assignment]
        yield gathered
    finally:
        for name, module in blocks.items():
            module.processor = before[name]


def words_of(parts: StableParts, text: str) -> list[tuple[str, tuple[int, ...]]]:
    """The words of a text, each with its tokens, counted from the mark at the beginning."""
    found = []
    place = 1
    for word in text.split():
        number = len(parts.tokenizers[0](word).input_ids) - 2
        if number:
            found.append((word, tuple(range(place, place + number))))
        place += number
    return found
