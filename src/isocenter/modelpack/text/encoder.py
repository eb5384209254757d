"""What every text encoder can do, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class EncodedText:
    """Texts as vectors.

    Axes: B text, L token, C channel.

    Attributes:
        tokens: (B, L, C) float32, zero outside the mask.
        mask: (B, L), True where there is a token.
        pooled: (B, C) float32, one vector a text.
        words: for each text its words in order, each with the positions of its tokens along L.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    words: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]


class TextEncoder(Protocol):
    """Turns texts into vectors that a generator attends to.

    A text gives the same vectors whatever it is encoded with.

    Attributes:
        name: for people and for the record of a run.
        width: channels of the vectors.
    """

    name: str
    width: int

    def encode(self, texts: Sequence[str]) -> EncodedText:
        """Read texts; an empty one says nothing.

        Raises:
            InputRefused: a text that :meth:`check` refuses for its length.
        """
        ...

    def check(self, text: str) -> None:
        """Refuse a text that would not be understood.

        Raises:
            InputRefused: a word is not known, or the text is too long.
        """
        ...
