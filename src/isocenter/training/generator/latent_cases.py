"""Latents to train a denoiser on, each with what it is told.

An image is encoded once; what is stored is the distribution of its latent, and every time the
image is seen a fresh latent is drawn from it. What is told is drawn too: any condition is left out
now and then, so that the network can do without it, and a sentence says some of what is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from isocenter.core.checks import check_positive
from isocenter.core.seeds import derived_seed
from isocenter.modelpack.generator.told import box_map
from isocenter.networks.latent_unet import Conditions
from isocenter.training.learner import Batch

NO_SENTENCE = -1


@dataclass(frozen=True, kw_only=True)
class DropSettings:
    """How often something that is known of an image is not told.

    Attributes:
        everything: all but the family.
        category, number, box, guide: each on its own.
        text: the sentence.
        category_beside_text: a category, where there is a sentence, so that words must act.
    """

    everything: float = 0.1
    category: float = 0.25
    number: float = 0.5
    box: float = 0.4
    guide: float = 0.25
    text: float = 0.5
    category_beside_text: float = 0.6

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, got {value!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentSet:
    """Images of one size as distributions of latents; N images, S sentences of each.

    Attributes:
        mean, deviation: (N, C, H, W) float16, normalized.
        categories: (N, K) codes, the family first.
        numbers: (N, M) codes, NaN where not known.
        boxes: (N, 4) center x, center y, width, height; NaN where there is none.
        guide: (N, C, H, W) float16 normalized latents of guide images, or None.
        sentences: (N, S) places in the bank of sentences; -1 for none.
        weights: (N,) how often each is drawn; the sum does not matter.
        guided: (N,) whether each has a guide; None where all have one, or none.
        lesion: (N, 1, H, W) share of each latent's field that is lesion, told or not; None where
            no place counts more than others.
        control: (N, channels, H, W) float16 what a ControlNet is told, or None.
    """

    mean: Tensor
    deviation: Tensor
    categories: NDArray
    numbers: NDArray
    boxes: NDArray
    sentences: NDArray
    weights: NDArray
    guide: Tensor | None = None
    guided: NDArray | None = None
    lesion: Tensor | None = None
    control: Tensor | None = None

    def __post_init__(self) -> None:
        count = len(self.mean)
        for name in ("deviation", "categories", "numbers", "boxes", "sentences", "weights"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} must be as many as the {count} means")
        if not (np.isfinite(self.weights).all() and self.weights.min() >= 0 < self.weights.sum()):
            raise ValueError("weights must be at least 0, and not all of them 0")

    def __len__(self) -> int:
        return len(self.mean)

    def chosen(self, rows: NDArray) -> LatentSet:
        """Some images, in the order asked for."""
        places = torch.from_numpy(rows)
        return LatentSet(
            mean=self.mean[places],
            deviation=self.deviation[places],
            categories=self.categories[rows],
            numbers=self.numbers[rows],
            boxes=self.boxes[rows],
            sentences=self.sentences[rows],
            weights=self.weights[rows],
            guide=None if self.guide is None else self.guide[places],
            guided=None if self.guided is None else self.guided[rows],
            lesion=None if self.lesion is None else self.lesion[places],
            control=None if self.control is None else self.control[places],
        )


@dataclass(frozen=True, kw_only=True)
class SentenceBank:
    """Encoded sentences.

    Attributes:
        words: (S, L, width) float16.
        spoken: (S, L).
        meaning: (S, width) float16.
    """

    words: Tensor
    spoken: Tensor
    meaning: Tensor

    def of(self, places_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Words, where there are any, and meaning of these sentences; nothing for -1."""
        there = places_B >= 0
        rows = places_B.clamp_min(0).to(self.words.device)
        spoken = self.spoken[rows] & there.to(self.spoken.device)[:, None]
        return self.words[rows].float(), spoken, self.meaning[rows].float()


class LatentCases(Dataset):
    """Draws of latents and of what they are told.

    Item k is one image of each size; it depends on the seed and k alone.

    Args:
        sets: by name of the size, such as "32x32".
        drop: how often something is not told.
        seed: of all draws.
        length: number of the last item, exclusive.
        start: number of the first item.
    """

    def __init__(
        self,
        sets: Mapping[str, LatentSet],
        *,
        drop: DropSettings,
        seed: int,
        length: int,
        start: int = 0,
    ) -> None:
        check_positive("length", length)
        self._sets = dict(sets)
        self._drop = drop
        self._seed = seed
        self._length = length
        self._start = start
        self._ends = {
            name: np.cumsum(one.weights, dtype=np.float64) / one.weights.sum()
            for name, one in sets.items()
        }

    def __len__(self) -> int:
        return self._length - self._start

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return {
            f"{size}.{name}": value
            for size in self._sets
            for name, value in self._drawn(size, self._start + index).items()
        }

    def _drawn(self, size: str, number: int) -> Batch:
        own = self._sets[size]
        rng = np.random.default_rng(derived_seed(self._seed, size, number))
        place = int(np.searchsorted(self._ends[size], rng.random(), side="right"))
        place = min(place, len(own) - 1)
        noise = torch.from_numpy(rng.standard_normal(own.mean.shape[1:], dtype=np.float32))
        latent = own.mean[place].float() + own.deviation[place].float() * noise
        found = {"latent": latent, **self._told(own, place, rng)}
        for name, images in (("lesion", own.lesion), ("control", own.control)):
            if images is not None:
                found[name] = images[place].float()
        return found

    def _told(self, own: LatentSet, place: int, rng: np.random.Generator) -> Batch:
        drop = self._drop
        nothing = rng.random() < drop.everything
        sentence = NO_SENTENCE
        if not nothing and rng.random() >= drop.text and own.sentences.shape[1]:
            sentence = int(rng.choice(own.sentences[place]))
        of_category = drop.category if sentence < 0 else drop.category_beside_text
        categories = own.categories[place].copy()
        unsaid = rng.random(len(categories)) < (1.0 if nothing else of_category)
        unsaid[0] = False
        categories[unsaid] = 0
        numbers = own.numbers[place].astype(np.float32)
        numbers[rng.random(len(numbers)) < (1.0 if nothing else drop.number)] = math.nan
        box = own.boxes[place]
        boxed = not nothing and bool(np.isfinite(box).all()) and rng.random() >= drop.box
        grid = own.mean.shape[-2:]
        placed = box_map(tuple(box), grid) if boxed else np.zeros(grid, np.float32)
        has_guide = own.guide is not None and (own.guided is None or bool(own.guided[place]))
        guided = not nothing and has_guide and rng.random() >= drop.guide
        guide = (
            own.guide[place].float()
            if guided and own.guide is not None
            else torch.zeros(own.mean.shape[1:])
        )
        return {
            "categories": torch.from_numpy(categories),
            "numbers": torch.from_numpy(numbers),
            "box": torch.from_numpy(placed)[None],
            "boxed": torch.tensor(boxed),
            "guide": guide,
            "guided": torch.tensor(guided),
            "sentence": torch.tensor(sentence),
        }


def sizes_of(batch: Batch) -> list[str]:
    """Names of the sizes in a batch, sorted."""
    return sorted({name.split(".")[0] for name in batch})


def part_of(batch: Batch, size: str) -> Batch:
    """What a batch holds of the images of one size."""
    before = f"{size}."
    return {
        name.removeprefix(before): value for name, value in batch.items() if name.startswith(before)
    }


def conditions_of(batch: Batch, size: str, bank: SentenceBank) -> Conditions:
    """What the images of one size in a batch are told."""
    part = {name: batch[f"{size}.{name}"] for name in _TOLD}
    words, spoken, meaning = bank.of(part.pop("sentence"))
    device = part["box"].device
    return Conditions(
        words=words.to(device), spoken=spoken.to(device), meaning=meaning.to(device), **part
    )


_TOLD = ("categories", "numbers", "box", "boxed", "guide", "guided", "sentence")
