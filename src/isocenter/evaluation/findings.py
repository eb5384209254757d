"""What a comparison of two series found, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition
from isocenter.evaluation.continuity import Continuity
from isocenter.evaluation.ct.edges import Sharpness
from isocenter.evaluation.ct.faint_detail import EqualNoiseBlur, FaintDetail
from isocenter.evaluation.ct.hu import TissueBias
from isocenter.evaluation.ct.noise_power import NoiseComparison
from isocenter.evaluation.fidelity import Fidelity
from isocenter.evaluation.lesions.detectability import DetectabilityTable


@dataclass(frozen=True, kw_only=True)
class Example:
    """The slice that the picture shows."""

    reference_index: int
    reference: NDArray
    test: NDArray
    body: NDArray
    spacing_mm: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What :func:`isocenter.evaluation.compare.evaluate` found in one scan.

    Attributes:
        unit: of all values that have one.
        pairs: slice indices (reference, test) that were compared.
        num_slices: of the reference and of the test.
        spacing_mm: distance between slices of the reference, rows and columns.
        acquisitions: of the reference and of the test.
        fidelity: pooled over all voxels, one a protocol.
        blurred_fidelity: the same of the test after a Gaussian blur of 0.7 mm, the control.
        fidelity_of_slices: for each protocol, one a pair.
        hu_bias: for each tissue that was found, from the reference.
        noise: None where no homogeneous soft tissue was found.
        sharpness: for each kind of edge that was found often enough.
        continuity: None where no two compared slices are neighbours.
        faint_detail: None without enough soft tissue in neighbouring slices.
        equal_noise_blur: what a plain blur to the test's noise would keep of it.
        detectability: of recorded lesions, where these were given.
        blurred_detectability: the same of the blurred test.
        physics_slices: how many pairs noise and sharpness were measured on.
        seed: of the bootstrap.
        left_out: in words, what was not measured and why.
        example: the slice that the picture shows.
    """

    unit: str
    pairs: tuple[tuple[int, int], ...]
    num_slices: tuple[int, int]
    spacing_mm: tuple[float, float, float]
    acquisitions: tuple[Acquisition, Acquisition]
    fidelity: tuple[Fidelity, ...]
    blurred_fidelity: tuple[Fidelity, ...]
    fidelity_of_slices: tuple[tuple[Fidelity, ...], ...]
    hu_bias: dict[str, TissueBias]
    noise: NoiseComparison | None
    sharpness: dict[str, Sharpness]
    continuity: Continuity | None
    faint_detail: FaintDetail | None
    equal_noise_blur: EqualNoiseBlur | None
    detectability: DetectabilityTable | None
    blurred_detectability: DetectabilityTable | None
    physics_slices: int
    seed: int
    example: Example = field(repr=False)
    left_out: tuple[str, ...] = ()
