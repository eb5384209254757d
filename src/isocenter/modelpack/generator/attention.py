"""Which word acted where: the cross-attention of a denoiser, kept while it draws.

Source: Tang et al., ACL 2023 (attention of a latent diffusion model, added up over layers and
steps).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from isocenter.networks.latent_unet import LatentUNet

# Maps are added up at this size, that of the finest layers that attend in what ships.
_GRID = 16


class AttentionOfWords:
    """Adds up over layers and steps how much each token was attended to at each place.

    Args:
        denoiser: whose attention is watched.
    """

    def __init__(self, denoiser: LatentUNet) -> None:
        self._denoiser = denoiser
        self._total: Tensor | None = None

    @contextmanager
    def looking(self, images: int) -> Iterator[None]:
        """Watch one call, of whose batch the first ``images`` are told what they are to be."""
        with self._denoiser.watching_attention() as found:
            yield
        maps = [_on_grid(one[:images].float().cpu()) for one in found]
        if maps:
            added = torch.stack(maps).sum(dim=0)
            self._total = added if self._total is None else self._total + added

    def maps(
        self,
        place: int,
        words: Sequence[tuple[str, tuple[int, ...]]],
        size: Sequence[int],
    ) -> dict[str, NDArray]:
        """Where each word of one image's text acted; see :func:`word_maps`.

        Args:
            place: of the image in the batch.
            words: each with the positions of its tokens in the text.
            size: rows and columns of the result.
        """
        if self._total is None:
            return {}
        before = self._denoiser.num_tokens_before_words()
        return word_maps(self._total[place, before:], words, size)


def word_maps(
    shares: Tensor, words: Sequence[tuple[str, tuple[int, ...]]], size: Sequence[int]
) -> dict[str, NDArray]:
    """Where each word acted, of the attention to each token of its text.

    Args:
        shares: (tokens, rows, columns).
        words: each with the positions of its tokens.
        size: rows and columns of the result.

    Returns:
        By word, (rows, columns) float32, not negative, the sum is 1; a word that comes twice is
        numbered. What no word is needed for, such as attention that all words share, is taken away
        first.
    """
    if not words:
        return {}
    of_words = torch.stack([shares[list(positions)].sum(dim=0) for _, positions in words])
    of_words = of_words / of_words.mean(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    apart = (of_words - of_words.mean(dim=0)).clamp_min(0) if len(words) > 1 else of_words
    grown = functional.interpolate(apart[None], tuple(size), mode="bilinear")[0].numpy()
    names = _numbered([word for word, _ in words])
    return {name: _summing_to_one(one) for name, one in zip(names, grown, strict=True)}


def _on_grid(attention_BPT: Tensor) -> Tensor:
    """(B, T, grid, grid) of the attention of the positions of a square."""
    batch, positions, tokens = attention_BPT.shape
    side = round(positions**0.5)
    square = attention_BPT.transpose(1, 2).reshape(batch, tokens, side, positions // side)
    return functional.interpolate(square, (_GRID, _GRID), mode="bilinear")


def _summing_to_one(values: NDArray) -> NDArray:
    total = float(values.sum())
    even = np.full_like(values, 1 / values.size)
    return (values / total).astype(np.float32) if total > 0 else even


def _numbered(words: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for word in words:
        seen[word] = seen.get(word, 0) + 1
        names.append(word if seen[word] == 1 else f"{word} ({seen[word]})")
    return names
