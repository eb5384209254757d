"""A small transformer that reads a sentence.

Axes: B batch, L token of a sentence, K look at a sentence, C channel.

Each word comes out as a vector that knows its sentence, for cross-attention, and the whole
sentence as one, for modulation. Beside them stand linear readings of what the sentence says, so
that a reader can be asked what it has understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

# Sizes beyond these are a mistake or an attack: a configuration may come from anywhere.
MOST_WORDS = 100_000
MOST_CHANNELS = 4096
MOST_LAYERS = 32
MOST_TOKENS = 1024
MOST_READINGS = 256
MOST_LOOKS = 256

# A word is first seen with two before it and two after it: what "no" denies stands near it, and so
# does the digit that makes a 3 a thirty.
_NEIGHBORS = 5


def _check_size(name: str, size: object, least: int, most: int) -> None:
    whole = isinstance(size, int) and not isinstance(size, bool)
    if not whole or not least <= size <= most:  # type: ignore[operator]
        raise ValueError(f"{name} must be whole and within {least}..{most}, got {size!r}")


class TextEncoder(nn.Module):
    """Map numbers of words to a vector for each and one for the sentence.

    Args:
        words: the vocabulary; a token is the number of its word, 0 is padding.
        readings: what is read from a sentence, and the values that each may have.
        width: channels.
        layers, heads, feed_forward: of the transformer.
        looks: weighted means of its words that make up the vector of a sentence.
        most_tokens: tokens of the longest sentence.

    Raises:
        ValueError: sizes that are no whole numbers, do not fit each other or make no network that
            could be meant.

    Source: Vaswani et al., NeurIPS 2017, with normalization first.
    """

    def __init__(
        self,
        *,
        words: Sequence[str],
        readings: Mapping[str, Sequence[str]] | None = None,
        width: int = 128,
        layers: int = 3,
        heads: int = 4,
        feed_forward: int = 256,
        looks: int = 12,
        most_tokens: int = 40,
    ) -> None:
        super().__init__()
        readings = {name: list(values) for name, values in (readings or {}).items()}
        _check_size("number of words", len(words), 1, MOST_WORDS)
        _check_size("number of readings", len(readings), 0, MOST_READINGS)
        for name, values in readings.items():
            _check_size(f"number of values of {name}", len(values), 2, MOST_READINGS)
        _check_size("width", width, 1, MOST_CHANNELS)
        _check_size("layers", layers, 1, MOST_LAYERS)
        _check_size("heads", heads, 1, width)
        _check_size("feed_forward", feed_forward, 1, MOST_CHANNELS)
        _check_size("looks", looks, 1, MOST_LOOKS)
        _check_size("most_tokens", most_tokens, 1, MOST_TOKENS)
        if width % heads:
            raise ValueError(f"width must be divisible by heads, got {width} and {heads}")
        self.config: dict[str, Any] = {
            "words": list(words),
            "readings": readings,
            "width": width,
            "layers": layers,
            "heads": heads,
            "feed_forward": feed_forward,
            "looks": looks,
            "most_tokens": most_tokens,
        }
        self.width = width
        self.most_tokens = most_tokens
        self.embed = nn.Embedding(len(words), width)
        self.place = nn.Parameter(torch.zeros(most_tokens, width))
        self.neighbors = nn.Conv1d(width, width, _NEIGHBORS, padding=_NEIGHBORS // 2)
        layer = nn.TransformerEncoderLayer(
            width,
            heads,
            dim_feedforward=feed_forward,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.look = nn.Linear(width, looks)
        self.pool = nn.Linear(looks * width, width)
        num_values = sum(len(each) for each in readings.values())
        self.readings = nn.Linear(width, num_values) if num_values else None
        nn.init.normal_(self.embed.weight, std=0.5)
        nn.init.normal_(self.place, std=0.1)

    def forward(self, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Read sentences.

        Args:
            ids_BL: numbers of words, 0 where a sentence has ended.
            mask_BL: True where there is a word; at least one in each sentence.

        Returns:
            Vectors of words (B, L, C), zero outside the mask, and of sentences (B, C).
        """
        features = (self.embed(ids_BL) + self.place[: ids_BL.shape[1]]) * mask_BL[..., None]
        around = self.neighbors(features.transpose(1, 2)).transpose(1, 2)
        features = features + functional.gelu(around)
        features = self.layers(features, src_key_padding_mask=~mask_BL)
        features = features * mask_BL[..., None]
        weights_BLK = self.look(features).masked_fill(~mask_BL[..., None], float("-inf"))
        seen_BKC = weights_BLK.softmax(dim=1).transpose(1, 2) @ features
        return features, self.pool(seen_BKC.flatten(1))

    def read(self, pooled_BC: Tensor) -> dict[str, Tensor]:
        """What sentences say: for each reading (B, number of its values), before softmax."""
        if self.readings is None:
            return {}
        values = self.config["readings"]
        parts = self.readings(pooled_BC).split([len(each) for each in values.values()], dim=-1)
        return dict(zip(values, parts, strict=True))
