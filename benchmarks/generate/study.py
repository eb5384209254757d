"""What all parts share: the model, real images by part, where results go and how much is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.files import write_json
from isocenter.core.progress import Say, say_nothing
from isocenter.core.spread import spread_evenly
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet
from isocenter.evaluation.tables import plain
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.model import ImageGenerator
from isocenter.networks.autoencoder import Autoencoder
from isocenter.training.judges.fitting import resized

SEED = 7


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured; the defaults take a good hour on two cores.

    Attributes:
        number: images drawn of each family as the model draws them by default.
        variants: images drawn with each other setting, the first of the same wishes.
        real: real test images that a set is held against, at most.
        reconstructed: real test images that autoencoders are tried on, at most.
        training: training images of a family that judges see, at most.
        feature_steps, classifier_steps, box_steps: of the fits of judges.
        seeds: of the classifiers that tell what a generated set is worth.
        attacked: images of either kind that membership attacks are tried on, at most.
        halves, resamples: random halves and bootstrap draws for intervals.
    """

    number: int = 200
    variants: int = 80
    real: int = 400
    reconstructed: int = 60
    training: int = 1000
    feature_steps: int = 600
    classifier_steps: int = 300
    box_steps: int = 300
    seeds: int = 5
    attacked: int = 150
    halves: int = 10
    resamples: int = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """One run of the benchmark.

    Attributes:
        model: whose figures are measured.
        sets: real images by family.
        output: folder of results; what is drawn and fitted is kept below it for the next part.
        folder: of the model, None where it lies in no folder; then memory is not measured.
        autoencoders: further ones by name, tried beside the model's own.
        effort: how much is done.
        seed: of everything drawn.
        batch_size: images drawn together.
        say: is told how far it is.
    """

    model: ImageGenerator
    sets: Mapping[str, ImageSet]
    output: Path
    folder: Path | None = None
    autoencoders: Mapping[str, Autoencoder] = field(default_factory=dict)
    effort: Effort = field(default_factory=Effort)
    seed: int = SEED
    batch_size: int = 4
    say: Say = say_nothing

    @property
    def families(self) -> tuple[Family, ...]:
        """Those of the model that there are real images of."""
        return tuple(one for name, one in self.model.families.items() if name in self.sets)

    @cached_property
    def data_digests(self) -> dict[str, str]:
        """SHA-256 of the real images by family."""
        return {name: images.digest() for name, images in self.sets.items()}

    def part(self, name: str, part: str, most: int | None = None) -> ImageSet:
        """Images of one part of a family's patients, evenly spread where there are more."""
        rows = self.sets[name].indices(part)
        kept = spread_evenly(len(rows), len(rows) if most is None else most)
        return self.sets[name].chosen(rows[list(kept)])

    def write(self, part: str, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what a part measured, with the weights that it is of."""
        content = plain(
            {
                "part": part,
                "model": self.model.name,
                "version": self.model.version,
                "weights_sha256": self.model.weights_sha256,
                "steps": self.model.defaults.steps,
                "guidance": self.model.defaults.guidance,
                "seed": self.seed,
                "effort": asdict(self.effort),
                "figures": figures,
            }
        )
        self.output.mkdir(parents=True, exist_ok=True)
        write_json(self.output / f"{part}.json", content)
        assert isinstance(content, dict)
        return content


def small(images: ImageSet, side: int) -> NDArray:
    """(images, side, side) float32 in [-1, 1], brought there a few at a time."""
    parts = [
        resized(images.values(slice(first, first + 64)), side)
        for first in range(0, len(images), 64)
    ]
    return np.concatenate(parts) if parts else np.empty((0, side, side), np.float32)


def patients_of(images: ImageSet) -> list[str]:
    """Whose each image is."""
    return [one.patient for one in images.labels]


def category_of(images: ImageSet, name: str) -> list[str]:
    """A category of each image, "" where it is not known."""
    return [one.categories.get(name, "") for one in images.labels]


def where(images: ImageSet, wanted: Callable[[ImageLabels], bool]) -> ImageSet:
    """The images whose labels are wanted."""
    return images.chosen([place for place, one in enumerate(images.labels) if wanted(one)])


def in_unit(family: Family, images: NDArray) -> NDArray:
    """Values in the family's unit of images in [-1, 1]."""
    scaled = (np.asarray(images, np.float32) + 1) / 2
    found: NDArray = family.low + scaled * (family.high - family.low)
    return found


def in_network(family: Family, values: NDArray) -> NDArray:
    """Images in [-1, 1], float32, of values in the family's unit."""
    scaled = 2 * (np.asarray(values, np.float32) - family.low) / (family.high - family.low) - 1
    return np.clip(scaled, -1, 1, dtype=np.float32)
