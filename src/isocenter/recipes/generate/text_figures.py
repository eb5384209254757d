"""How well a text encoder reads sentences that bring phrases together as training never did."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from isocenter.core.seeds import generator_for
from isocenter.datasets.sentences.grammar import say
from isocenter.datasets.sentences.meaning import Meaning, changed, drawn_meaning
from isocenter.modelpack.text.bilingual import BilingualEncoder
from isocenter.training.generator.text import READINGS, read_from

_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class TextFigures:
    """Shares of held-out sentences, 0 to 1.

    Attributes:
        sentences: how many were read, half of them in each language.
        all_right: of which every attribute was read as meant.
        all_right_english, all_right_chinese: in one language.
        agreement: pairs of an English and a Chinese sentence of one meaning of which all attributes
            were read alike, rightly or not.
        negation_right: sentences that deny something of which all that is denied, and what is
            found, was read as meant.
        nearest: sentences whose nearest in the other language, of all in the collection, has the
            same meaning.
        worst: the attribute read worst.
        worst_right: how often that was right.
    """

    sentences: int
    all_right: float
    all_right_english: float
    all_right_chinese: float
    agreement: float
    negation_right: float
    nearest: float
    worst: str
    worst_right: float

    def described(self) -> dict[str, float | str]:
        """Ready for JSON."""
        return asdict(self)


def held_out_pairs(count: int, *, seed: int) -> list[tuple[Meaning, str, str]]:
    """Meanings with a held-out sentence in English and one in Chinese.

    Every second meaning differs in one thing from the one before it.
    """
    pairs: list[tuple[Meaning, str, str]] = []
    number = 0
    while len(pairs) < count:
        rng = generator_for(seed, "figures", number)
        number += 1
        meaning = drawn_meaning(rng)
        for each in (meaning, changed(meaning, rng)):
            english, chinese = (_held_out(each, rng, language) for language in ("en", "zh"))
            if english and chinese:
                pairs.append((each, english, chinese))
    return pairs[:count]


def _held_out(meaning: Meaning, rng: np.random.Generator, language: str) -> str:
    """Empty where a meaning has too few phrases to hold any pair out."""
    for _ in range(60):
        said = say(meaning, rng, language)
        if said.held_out:
            return said.text
    return ""


def text_figures(encoder: BilingualEncoder, *, count: int = 2000, seed: int = 1) -> TextFigures:
    """Read ``count`` held-out meanings in both languages."""
    pairs = held_out_pairs(count, seed=seed)
    meant = np.array([_values(meaning) for meaning, _, _ in pairs])
    english, english_vectors = _read(encoder, [text for _, text, _ in pairs])
    chinese, chinese_vectors = _read(encoder, [text for _, _, text in pairs])
    right_english, right_chinese = english == meant, chinese == meant
    right = np.concatenate([right_english, right_chinese])
    names = list(READINGS)
    each = right.mean(axis=0)
    denial = [name.startswith("no ") or name == "finding" for name in names]
    denies = np.tile([bool(meaning.absent) for meaning, _, _ in pairs], 2)
    return TextFigures(
        sentences=len(right),
        all_right=float(right.all(axis=1).mean()),
        all_right_english=float(right_english.all(axis=1).mean()),
        all_right_chinese=float(right_chinese.all(axis=1).mean()),
        agreement=float((english == chinese).all(axis=1).mean()),
        negation_right=float(right[denies][:, denial].all(axis=1).mean()),
        nearest=_nearest_right(english_vectors, chinese_vectors, meant),
        worst=names[int(each.argmin())],
        worst_right=float(each.min()),
    )


def _values(meaning: Meaning) -> list[int]:
    told = read_from(meaning)
    return [values.index(told[name]) for name, values in READINGS.items()]


@torch.no_grad()
def _read(encoder: BilingualEncoder, texts: list[str]) -> tuple[NDArray, Tensor]:
    """Read values (texts, attributes) and vectors of unit length (texts, channels)."""
    values, vectors = [], []
    for first in range(0, len(texts), _AT_ONCE):
        some = [encoder.vocabulary.split(text) for text in texts[first : first + _AT_ONCE]]
        _, pooled = encoder.network(*encoder.tensors(some))
        scores = encoder.network.read(pooled).values()
        values.append(torch.stack([score.argmax(dim=1) for score in scores], dim=1))
        vectors.append(functional.normalize(pooled, dim=1))
    return torch.cat(values).cpu().numpy(), torch.cat(vectors)


def _nearest_right(english: Tensor, chinese: Tensor, meant: NDArray) -> float:
    near = english @ chinese.T
    there, back = near.argmax(dim=1).cpu().numpy(), near.argmax(dim=0).cpu().numpy()
    found = [(meant[best] == meant).all(axis=1).mean() for best in (there, back)]
    return float(np.mean(found))
