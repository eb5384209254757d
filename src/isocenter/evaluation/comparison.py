"""What a comparison of two series found, as values, table, JSON and picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition
from isocenter.evaluation.ct import (
    Continuity,
    NoisePowerSpectrum,
    Region,
    Sharpness,
    TissueBias,
)
from isocenter.evaluation.fidelity import Fidelity
from isocenter.evaluation.lesions.detectability import DetectabilityTable
from isocenter.evaluation.lesions.lesions import LesionKind


class Row(NamedTuple):
    """One line of the table; :data:`COLUMNS` names the cells."""

    measure: str
    reference: str
    test: str
    against_reference: str


COLUMNS = ("Measure", "Reference", "Test", "Test against reference")


@dataclass(frozen=True, kw_only=True)
class NoiseComparison:
    """Noise power spectra in the same regions.

    Attributes:
        difference: spectrum of test minus reference: what was added or taken away. It holds no
            anatomy where the two differ by noise alone.
        regions: where they were measured, chosen on the reference.
    """

    reference: NoisePowerSpectrum
    test: NoisePowerSpectrum
    difference: NoisePowerSpectrum
    regions: tuple[Region, ...]


@dataclass(frozen=True, kw_only=True)
class PredictedDetectability:
    """d' of the ideal linear observer for a disc-like lesion, from noise power and sharpness.

    A prediction for linear systems: it knows no lesion, and a method that treats faint lesions
    otherwise than the edges it was measured on will differ. Inserted lesions decide
    (:func:`isocenter.evaluation.lesions.detectability.detectability_study`).

    Attributes:
        control: of the test after a Gaussian blur of 0.7 mm, which must not win.
        edge: kind of edge whose transfer function was used.
    """

    kind: LesionKind
    reference: float
    test: float
    control: float
    edge: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """The slice that the picture shows."""

    reference_index: int
    reference_hu: NDArray
    test_hu: NDArray
    body: NDArray
    spacing_mm: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What :func:`isocenter.evaluation.compare.evaluate` found in one scan.

    Attributes:
        pairs: slice indices (reference, test) that were compared.
        num_slices: of the reference and of the test.
        spacing_mm: distance between slices of the reference, rows and columns.
        acquisitions: of the reference and of the test.
        fidelity: pooled over all voxels, one a protocol.
        fidelity_of_slices: for each protocol, one a pair.
        hu_bias: for each tissue that was found, from the reference.
        noise: None where no homogeneous soft tissue was found.
        sharpness: for each kind of edge that was found often enough.
        continuity: None where no two compared slices are neighbours.
        predicted_detectability: empty where noise or sharpness could not be measured.
        detectability: of recorded lesions, where these were given.
        blurred_detectability: the same of the test after a Gaussian blur of 0.7 mm, the control.
        physics_slices: how many pairs noise and sharpness were measured on.
        seed: of the bootstrap.
    """

    pairs: tuple[tuple[int, int], ...]
    num_slices: tuple[int, int]
    spacing_mm: tuple[float, float, float]
    acquisitions: tuple[Acquisition, Acquisition]
    fidelity: tuple[Fidelity, ...]
    fidelity_of_slices: tuple[tuple[Fidelity, ...], ...]
    hu_bias: dict[str, TissueBias]
    noise: NoiseComparison | None
    sharpness: dict[str, Sharpness]
    continuity: Continuity | None
    predicted_detectability: tuple[PredictedDetectability, ...]
    detectability: DetectabilityTable | None
    blurred_detectability: DetectabilityTable | None
    physics_slices: int
    seed: int
    example: Example = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what has no finite value is None."""
        from isocenter.evaluation.tables import comparison_dict

        return comparison_dict(self)

    def rows(self) -> list[Row]:
        """The table for a terminal, headed by :data:`COLUMNS`."""
        from isocenter.evaluation.tables import comparison_rows

        return comparison_rows(self)

    def save_json(self, path: str | Path) -> Path:
        """Write :meth:`as_dict`."""
        text = json.dumps(self.as_dict(), indent=2, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")
        return Path(path)

    def save_picture(self, path: str | Path, *, dpi: int = 110) -> Path:
        """Write images, difference, noise spectra, transfer functions and HU bias as PNG."""
        from isocenter.evaluation.picture import draw

        draw(self).savefig(path, dpi=dpi, format="png")
        return Path(path)
