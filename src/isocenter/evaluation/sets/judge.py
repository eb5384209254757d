"""A generated set held against a real one: every figure with its interval and its floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.progress import Progress, silent
from isocenter.core.version import __version__
from isocenter.evaluation.bootstrap import Interval
from isocenter.evaluation.sets.copies import (
    MARGIN,
    PERCENTILE,
    CopyFindings,
    find_copies,
    thumbnail_vectors,
)
from isocenter.evaluation.sets.diversity import pair_similarity
from isocenter.evaluation.sets.features import (
    LEAST_SIDE,
    WHOLE,
    Features,
    FilterFeatures,
    Regions,
    grid_regions,
    measured,
)
from isocenter.evaluation.sets.frechet import frechet_distance, reference_scale
from isocenter.evaluation.sets.half_samples import AgainstReal, against_real
from isocenter.evaluation.sets.image_folder import CLASS, MODALITY, PATIENT, ImageSet
from isocenter.evaluation.sets.kernel_distance import kernel_distance, kernel_distance_of_blocks
from isocenter.evaluation.sets.neighbors import NEIGHBORS, neighborhood
from isocenter.evaluation.tables import plain

LEAST_IMAGES = 50
LEAST_PATIENTS = 10
SCALES = (1, 2, 4)
COLUMNS = (
    "Measure",
    "Generated against real (95 %)",
    "At the floor's size",
    "Floor: real against real",
)
_CLASS_SHARE_NOTED = 0.05
_MOST_OF_NEIGHBORHOOD = {"precision": 1.0, "recall": 1.0, "density": np.inf, "coverage": 1.0}
_FEWER_HALVES = 8  # of the many regions and scales

Embed = Callable[[NDArray], NDArray]


class Row(NamedTuple):
    """One line of the table; :data:`COLUMNS` names the cells."""

    measure: str
    generated: str
    at_same_size: str
    floor: str


@dataclass(frozen=True, kw_only=True)
class SetComparison:
    """What was found.

    Attributes:
        num_real, num_patients, num_generated: what was compared.
        size: rows and columns.
        features: what was measured with: name and SHA-256 of its weights, "" where it has none.
        frechet: by "whole image", scale and region.
        kernel: unbiased, of the whole image; ``kernel_blocks`` is its mean and standard deviation
            over blocks.
        neighborhood: precision, recall, density and coverage.
        similarity_real, similarity_generated: MS-SSIM of pairs by class.
        copies: of real images; the guard of a model folder is another and stricter one.
        seed: of all that was drawn.
        notes: what to know before reading, in words.
    """

    num_real: int
    num_patients: int
    num_generated: int
    size: tuple[int, int]
    features: tuple[str, str]
    frechet: Mapping[str, AgainstReal]
    kernel: AgainstReal
    kernel_blocks: tuple[float, float]
    neighborhood: Mapping[str, AgainstReal]
    similarity_real: Mapping[str, Interval]
    similarity_generated: Mapping[str, Interval]
    copies: CopyFindings
    seed: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what has no finite value is None."""
        return plain(
            {
                "images": {
                    "real": self.num_real,
                    "patients": self.num_patients,
                    "generated": self.num_generated,
                    "rows_columns": self.size,
                },
                "features": {"name": self.features[0], "sha256": self.features[1]},
                "frechet_distance": {name: asdict(one) for name, one in self.frechet.items()},
                "kernel_distance": asdict(self.kernel)
                | {
                    "blocks_mean": self.kernel_blocks[0],
                    "blocks_standard_deviation": self.kernel_blocks[1],
                },
                **{name: asdict(one) for name, one in self.neighborhood.items()},
                "similarity_of_pairs": {
                    "measure": "MS-SSIM within a class; real pairs are of different patients",
                    "real": {name: asdict(one) for name, one in self.similarity_real.items()},
                    "generated": {
                        name: asdict(one) for name, one in self.similarity_generated.items()
                    },
                },
                "copies": self._copies(),
                "settings": self._settings(),
                "notes": self.notes,
            }
        )

    def rows(self) -> list[Row]:
        """Lines of the table."""
        return [
            Row(
                "Images",
                f"{self.num_generated}",
                f"{self.kernel.num_each[1]}",
                f"{self.kernel.num_each[0]} against {self.kernel.num_each[1]}, of "
                f"{self.num_real} of {self.num_patients} patients",
            ),
            *(
                _row(f"Fréchet distance, {name}", one, "{:.2f}")
                for name, one in self.frechet.items()
            ),
            _row("Kernel distance", self.kernel, "{:.4f}"),
            *(_row(name.capitalize(), one, "{:.3f}") for name, one in self.neighborhood.items()),
            *self._similarity_rows(),
            self._copies_row(),
        ]

    def _similarity_rows(self) -> list[Row]:
        return [
            Row(
                f"MS-SSIM of pairs, {name}",
                _interval(self.similarity_generated[name]),
                "",
                f"{_interval(real)} (pairs of two patients)",
            )
            for name, real in self.similarity_real.items()
            if name in self.similarity_generated
        ]

    def _copies_row(self) -> Row:
        found = self.copies
        return Row(
            f"Copies of real images (similarity from {found.threshold:.3f})",
            f"{int(found.is_copy.sum())} of {len(found.is_copy)}, nearest "
            f"{found.similarity.max():.3f}",
            "",
            f"nearest {found.between_patients.max():.3f} (of two patients)",
        )

    def _copies(self) -> dict[str, Any]:
        found = self.copies
        return {
            "number": int(found.is_copy.sum()),
            "which": np.flatnonzero(found.is_copy).tolist(),
            "threshold": found.threshold,
            "similarity_median": float(np.median(found.similarity)),
            "similarity_largest": float(found.similarity.max()),
            "between_patients_median": float(np.median(found.between_patients)),
            "between_patients_largest": float(found.between_patients.max()),
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "isocenter_version": __version__,
            "seed": self.seed,
            "intervals": "95 %, over patients of the real set and images of the generated one, "
            "from random halves",
            "floor": "one random half of the real patients against the other",
            "neighbors": NEIGHBORS,
            "copies": f"nearer to a real image than {PERCENTILE:g} % of real images are to those "
            f"of other patients, and by {MARGIN:g} of what is left up to 1",
        }


def judge_sets(
    real: ImageSet,
    generated: ImageSet,
    *,
    features: Features | None = None,
    regions: Regions | None = None,
    embed: Embed = thumbnail_vectors,
    halves: int = 20,
    seed: int = 0,
    progress: Progress = silent,
) -> SetComparison:
    """Compare a generated set with a real one.

    Args:
        real: its table has a patient for each image.
        generated: of the same size and depth.
        features: what is measured; fixed filters where None.
        regions: measured beside the whole; 2 x 2 cells where None.
        embed: from images to unit vectors, for finding copies.
        halves: random halves for intervals and floors.
        seed: same seed, same figures.

    Raises:
        InputRefused: sets that cannot be compared.
    """
    patients = _checked(real, generated)
    used = features or FilterFeatures()
    places = regions or grid_regions((real.images.shape[1], real.images.shape[2]))
    total = 5
    progress(0, total)
    of_real, of_generated = (
        measured(each.images, used, regions=places, scales=SCALES) for each in (real, generated)
    )
    progress(1, total)
    frechet = _frechet(of_real, of_generated, patients, halves=halves, seed=seed)
    progress(2, total)
    pair = on_scale_of_real(of_real[WHOLE], of_generated[WHOLE])
    kernel = against_real(kernel_distance, *pair, patients, halves=halves, seed=seed)
    near = _neighborhood(pair, patients, halves=halves, seed=seed)
    progress(3, total)
    of_classes = _classes(real, generated)
    among_real = pair_similarity(real.images, of_classes[0], patients=patients, seed=seed)
    among_generated = pair_similarity(generated.images, of_classes[1], seed=seed)
    progress(4, total)
    copies = find_copies(embed(real.images), embed(generated.images), patients)
    progress(5, total)
    return SetComparison(
        num_real=len(real),
        num_patients=len(set(patients.tolist())),
        num_generated=len(generated),
        size=(real.images.shape[1], real.images.shape[2]),
        features=(used.name, used.digest),
        frechet=frechet,
        kernel=kernel,
        kernel_blocks=kernel_distance_of_blocks(*pair, seed=seed),
        neighborhood=near,
        similarity_real=among_real,
        similarity_generated=among_generated,
        copies=copies,
        seed=seed,
        notes=tuple(_notes(real, generated, used, embed)),
    )


def _frechet(
    of_real: Mapping[str, NDArray],
    of_generated: Mapping[str, NDArray],
    patients: NDArray,
    *,
    halves: int,
    seed: int,
) -> dict[str, AgainstReal]:
    """By region and scale; fewer halves for all but the whole."""
    return {
        name: against_real(
            frechet_distance_on_scale,
            *on_scale_of_real(of_real[name], of_generated[name]),
            patients,
            halves=halves if name == WHOLE else min(halves, _FEWER_HALVES),
            least=0.0,
            seed=seed,
        )
        for name in of_real
    }


def _neighborhood(
    pair: tuple[NDArray, NDArray], patients: NDArray, *, halves: int, seed: int
) -> dict[str, AgainstReal]:
    """Precision, recall, density and coverage."""
    return {
        name: against_real(
            _part_of_neighborhood(name),
            *pair,
            patients,
            halves=halves,
            least=0.0,
            most=most,
            seed=seed,
        )
        for name, most in _MOST_OF_NEIGHBORHOOD.items()
    }


def frechet_distance_on_scale(real: NDArray, generated: NDArray) -> float:
    """Fréchet distance of features that were brought to one scale before."""
    return frechet_distance(real, generated, scale=np.ones(real.shape[1]))


def on_scale_of_real(real: NDArray, generated: NDArray) -> tuple[NDArray, NDArray]:
    """Both less the mean of the real features and over their standard deviation."""
    center, scale = real.mean(axis=0), reference_scale(real)
    return (real - center) / scale, (generated - center) / scale


def _part_of_neighborhood(name: str) -> Callable[[NDArray, NDArray], float]:
    def figure(real: NDArray, generated: NDArray) -> float:
        return float(getattr(neighborhood(real, generated), name))

    return figure


def _checked(real: ImageSet, generated: ImageSet) -> NDArray:
    """The patients of the real set."""
    if real.images.shape[1:] != generated.images.shape[1:] or real.bits != generated.bits:
        raise InputRefused(
            f"the real images are {_size(real)}, the generated ones {_size(generated)}; sets are "
            "compared at one size and depth, so resample one of them first",
            reason="mixed_sizes",
        )
    if min(real.images.shape[1:]) < LEAST_SIDE:
        raise InputRefused(
            f"images are {_size(real)}; {LEAST_SIDE} pixels a side at least are needed"
        )
    modalities = {
        one for each in (real, generated) for one in each.columns.get(MODALITY, ()) if one
    }
    if len(modalities) > 1:
        raise InputRefused(
            f"the sets hold {len(modalities)} modalities; compare images of one at a time",
            reason="mixed_modalities",
        )
    for name, each in (("real", real), ("generated", generated)):
        if len(each) < LEAST_IMAGES:
            raise InputRefused(
                f"the {name} set has {len(each)} images; {LEAST_IMAGES} at least are needed, and "
                "figures become steady with a few hundred"
            )
    patients = real.column(PATIENT)
    if patients is None:
        raise InputRefused(
            f"the table of the real set needs a column {PATIENT!r} with a code in every line: "
            "images of one patient resemble each other, so without patients there is neither an "
            "interval nor a floor"
        )
    if (count := len(set(patients.tolist()))) < LEAST_PATIENTS:
        raise InputRefused(
            f"the real set is of {count} patients; {LEAST_PATIENTS} at least are needed"
        )
    return patients


def _size(images: ImageSet) -> str:
    return f"{images.images.shape[1]} x {images.images.shape[2]} of {images.bits} bits"


def _classes(real: ImageSet, generated: ImageSet) -> tuple[NDArray | None, NDArray | None]:
    """Of both sets, or of neither."""
    both = real.column(CLASS), generated.column(CLASS)
    return both if both[0] is not None and both[1] is not None else (None, None)


def _notes(real: ImageSet, generated: ImageSet, used: Features, embed: Embed) -> list[str]:
    notes = []
    if isinstance(used, FilterFeatures):
        notes.append(
            "Measured with fixed filters, which see texture, sharpness and coarse layout; whether "
            "anatomy is right they cannot tell. Distances of other features are other numbers."
        )
    if embed is thumbnail_vectors:
        notes.append(
            "Copies were looked for with thumbnails, which miss those that were moved or bent."
        )
    if (count := _repeats(generated.images)) > 0:
        notes.append(f"{count} generated images repeat another one exactly.")
    classes = _classes(real, generated)
    if classes[0] is not None and classes[1] is not None:
        notes += _class_notes(classes[0], classes[1])
    return notes


def _class_notes(real: NDArray, generated: NDArray) -> list[str]:
    names = sorted(set(real.tolist()) | set(generated.tolist()))
    apart = max(abs(float((real == one).mean() - (generated == one).mean())) for one in names)
    if apart <= _CLASS_SHARE_NOTED:
        return []
    return [
        f"The shares of a class differ by up to {100 * apart:.0f} points between the sets, which "
        "raises every distance and lowers recall and coverage; generate in the real shares."
    ]


def _repeats(images: NDArray) -> int:
    return len(images) - len({image.tobytes() for image in images})


def _row(name: str, found: AgainstReal, form: str) -> Row:
    def written(value: float) -> str:
        return form.format(value)

    return Row(
        name,
        f"{written(found.value)} ({written(found.low)} to {written(found.high)})",
        written(found.at_same_size),
        f"{written(found.floor)} ({written(found.floor_low)} to {written(found.floor_high)})",
    )


def _interval(found: Interval) -> str:
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def class_names(real: ImageSet, generated: ImageSet) -> Sequence[str]:
    """Classes that both sets name, in order; "" alone where one names none."""
    classes = _classes(real, generated)
    if classes[0] is None or classes[1] is None:
        return [""]
    return sorted(set(classes[0].tolist()) & set(classes[1].tolist())) or [""]
