"""Fitting the text encoder on sentences that a grammar draws afresh.

A meaning is said twice, in English and in Chinese or twice in one of them, and so is a meaning that
differs from it in one thing. The vectors of what means the same are drawn together, those of
everything else in the batch apart, and every attribute of the meaning must be read from the vector
of the sentence and again from those of its words.

Axes: B sentence, L token, C channel, A attribute, V value of any attribute.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from isocenter.core.seeds import generator_for
from isocenter.datasets.sentences.grammar import LANGUAGES, Said, say, words_known
from isocenter.datasets.sentences.meaning import (
    ABSENTABLE,
    VALUES,
    Meaning,
    changed,
    drawn_meaning,
)
from isocenter.modelpack.text.vocabulary import START, Vocabulary
from isocenter.networks.text_encoder import TextEncoder
from isocenter.training.learner import Batch, Learner

TENS_OF_MM = "tens of mm"
READINGS: dict[str, tuple[str, ...]] = {
    **{name: ("", *values) for name, values in VALUES.items()},
    TENS_OF_MM: ("", *"0123456789"),
    **{f"no {name}": ("", "yes") for name in ABSENTABLE},
}
_TEMPERATURE = 0.1
# Groups of like length that a batch is read in.
_LENGTHS = 4
# How often both sentences of a meaning are in one language.
_ONE_LANGUAGE = 0.2


def read_from(meaning: Meaning) -> dict[str, str]:
    """What each of :data:`READINGS` should give."""
    told = {name: getattr(meaning, name) for name in VALUES}
    told[TENS_OF_MM] = str(meaning.size_mm // 10) if meaning.size_mm else ""
    return told | {f"no {name}": "yes" if name in meaning.absent else "" for name in ABSENTABLE}


def vocabulary() -> Vocabulary:
    """All words of the grammar."""
    return Vocabulary.of(word for language in LANGUAGES for word in words_known(language))


class SentencePairs(IterableDataset[dict[str, Tensor]]):
    """Meanings, each with one that is near it, both said twice.

    An item has four sentences: "ids" (4, L), "labels" (4, A) and "meaning" (4,), equal numbers for
    equal meanings. Item k is the same in any run of the same seed.

    Args:
        words: the vocabulary.
        most_tokens: L.
        seed: of the run.
        first: number of the first item.
        count: how many items; None for no end.
        held_out: True for sentences that bring phrases together as training never does, False for
            those of training.
    """

    def __init__(
        self,
        words: Vocabulary,
        *,
        most_tokens: int,
        seed: int,
        first: int = 0,
        count: int | None = None,
        held_out: bool = False,
    ) -> None:
        self.words = words
        self.most_tokens = most_tokens
        self.seed = seed
        self.first = first
        self.count = count
        self.held_out = held_out

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        number = self.first + (worker.id if worker else 0)
        while self.count is None or number < self.first + self.count:
            yield self.item(number)
            number += worker.num_workers if worker else 1

    def item(self, number: int) -> dict[str, Tensor]:
        """The four sentences of one number."""
        rng = generator_for(self.seed, "held out" if self.held_out else "sentences", number)
        meanings, texts = [], []
        meaning = drawn_meaning(rng)
        for each in (meaning, changed(meaning, rng)):
            for language in _two_languages(rng):
                texts.append(self._said(each, rng, language).text)
                meanings.append(each)
        return {
            "ids": self._ids(texts),
            "labels": torch.tensor([_labels(each) for each in meanings]),
            "meaning": torch.tensor([zlib.crc32(repr(each).encode()) for each in meanings]),
        }

    def _said(self, meaning: Meaning, rng: np.random.Generator, language: str) -> Said:
        for _ in range(20):
            said = say(meaning, rng, language)
            if said.held_out == self.held_out:
                break
        return said  # a meaning with a single phrase has no pair to hold out

    def _ids(self, texts: Sequence[str]) -> Tensor:
        ids = torch.zeros(len(texts), self.most_tokens, dtype=torch.long)
        start = self.words.words.index(START)
        for row, text in zip(ids, texts, strict=True):
            found = [start, *(number for word in self.words.split(text) for number in word.ids)]
            row[: len(found)] = torch.tensor(found)
        return ids


def _two_languages(rng: np.random.Generator) -> tuple[str, str]:
    if rng.random() >= _ONE_LANGUAGE:
        return "en", "zh"
    return ("en", "en") if rng.random() < 0.5 else ("zh", "zh")


def _labels(meaning: Meaning) -> list[int]:
    told = read_from(meaning)
    return [values.index(told[name]) for name, values in READINGS.items()]


class TokenReadings(nn.Module):
    """Read every attribute from the vectors of words, each with a query of its own."""

    def __init__(self, width: int, readings: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.sizes = [len(values) for values in readings.values()]
        self.queries = nn.Parameter(torch.randn(len(self.sizes), width) / width**0.5)
        most = max(self.sizes)
        self.weight = nn.Parameter(torch.randn(len(self.sizes), most, width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(len(self.sizes), most))

    def forward(self, tokens_BLC: Tensor, mask_BL: Tensor) -> list[Tensor]:
        """For each attribute (B, number of its values), before softmax."""
        scores_BAL = self.queries @ tokens_BLC.transpose(1, 2)
        scores_BAL = scores_BAL.masked_fill(~mask_BL[:, None], float("-inf"))
        seen_ABC = (scores_BAL.softmax(dim=-1) @ tokens_BLC).transpose(0, 1)
        values_ABV = seen_ABC @ self.weight.transpose(1, 2) + self.bias[:, None]
        return [values[:, :size] for values, size in zip(values_ABV, self.sizes, strict=True)]


class TextReader(nn.Module):
    """The encoder with what training alone needs."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.token_readings = TokenReadings(encoder.width, encoder.config["readings"])

    def forward(self, ids_BL: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Vectors (B, C) of sentences, readings of them, and readings of their words.

        Sentences of like length go together, as padding costs as much as words.
        """
        lengths_B = (ids_BL > 0).sum(dim=1)
        order_B = lengths_B.argsort(stable=True)
        found = [self._read(ids_BL[rows]) for rows in order_B.chunk(_LENGTHS)]
        back_B = order_B.argsort()
        pooled, of_sentence, of_words = zip(*found, strict=True)
        return (
            torch.cat(pooled)[back_B],
            [torch.cat(parts)[back_B] for parts in zip(*of_sentence, strict=True)],
            [torch.cat(parts)[back_B] for parts in zip(*of_words, strict=True)],
        )

    def _read(self, ids_BL: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        ids_BL = ids_BL[:, : int((ids_BL > 0).sum(dim=1).max())]
        mask_BL = ids_BL > 0
        tokens, pooled = self.encoder(ids_BL, mask_BL)
        of_sentence = list(self.encoder.read(pooled).values())
        return pooled, of_sentence, self.token_readings(tokens, mask_BL)


def contrast_loss(pooled_BC: Tensor, meaning_B: Tensor) -> Tensor:
    """Same meaning near, any other far.

    Source: Khosla et al., NeurIPS 2020, equation 2.
    """
    units = functional.normalize(pooled_BC, dim=1)
    itself = torch.eye(len(units), dtype=torch.bool, device=units.device)
    near = (units @ units.T / _TEMPERATURE).masked_fill(itself, float("-inf"))
    same = (meaning_B[:, None] == meaning_B[None]) & ~itself
    log_share = near.log_softmax(dim=1).masked_fill(~same, 0)
    return -(log_share.sum(dim=1) / same.sum(dim=1).clamp_min(1)).mean()


def reading_loss(readings: Sequence[Tensor], labels_BA: Tensor) -> Tensor:
    """Mean cross-entropy over attributes."""
    losses = [
        functional.cross_entropy(scores, labels_BA[:, number])
        for number, scores in enumerate(readings)
    ]
    return torch.stack(losses).mean()


def all_right(readings: Sequence[Tensor], labels_BA: Tensor) -> Tensor:
    """Whether each attribute is read as it was meant, (B, A)."""
    best = torch.stack([scores.argmax(dim=1) for scores in readings], dim=1)
    return best == labels_BA


def text_learner(encoder: TextEncoder) -> Learner:
    """The learner; its merit is the share of sentences of which all is read right."""

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        labels, meaning = batch["labels"].flatten(0, 1), batch["meaning"].flatten()
        pooled, of_sentence, of_words = model(batch["ids"].flatten(0, 1))
        contrast = contrast_loss(pooled, meaning)
        sentence = reading_loss(of_sentence, labels)
        words = reading_loss(of_words, labels)
        logs = {"contrast": contrast.item(), "sentence": sentence.item(), "words": words.item()}
        return 0.2 * contrast + 5 * sentence + 2 * words, logs

    def merit(model: nn.Module, batch: Batch) -> Tensor:
        _, of_sentence, _ = model(batch["ids"].flatten(0, 1))
        right = all_right(of_sentence, batch["labels"].flatten(0, 1)).all(dim=1)
        return right.double().view(len(batch["ids"]), -1).mean(dim=1)

    return Learner(name="text_encoder", network=TextReader(encoder), loss=loss, merit=merit)
