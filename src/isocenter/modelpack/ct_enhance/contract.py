"""What a CT enhancement model promises to the task that uses it, whoever wrote the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isocenter.image.ct_noise import NoiseMeasure

if TYPE_CHECKING:
    from isocenter.modelpack.ct_enhance.measured import Measured

Range = tuple[float, float]
# What the model sees where the scanner measured nothing.
AIR_HU = -1000.0
# Scanners store no less for air, so nothing measured is made lower than this.
LOWEST_HU = -1024.0
# Share of the input that is given back in the band of faint lesions, unless told otherwise.
LESION_CONTRAST = 0.5


@dataclass(frozen=True, kw_only=True)
class AcceptedScans:
    """Ranges the model was trained for; both ends included.

    Attributes:
        pixel_spacing_mm, field_of_view_mm, slice_thickness_mm: geometry.
        noise_hu: level of the noise in soft tissue, measured in the image.
        noise_mean_frequency_per_mm: mean frequency of that noise, which tells how sharp the
            kernel is.
    """

    pixel_spacing_mm: Range
    field_of_view_mm: Range
    slice_thickness_mm: Range
    noise_hu: Range
    noise_mean_frequency_per_mm: Range


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What the standard-dose scan would show in one slice, (row, column) float32 HU.

    Attributes:
        mean_hu: posterior mean.
        lower_hu, upper_hu: calibrated 90 % interval of the standard-dose value of each voxel.
        state: what the model wants back when it is asked for a sample.
    """

    mean_hu: NDArray
    lower_hu: NDArray
    upper_hu: NDArray
    state: Any = field(default=None, repr=False)


class Enhancer(Protocol):
    """A model that enhances a slice, seen with its neighbours.

    Attributes:
        name, version: as the card names it.
        weights_sha256: digest over everything on disk that decides a pixel.
        context: neighbouring slices on each side.
        accepted: scans the model was trained for.
        card: facts for people, ready for JSON.
        measured: figures measured on scans never used to make it; None where there are none.
        notes: what was noted while it was loaded, in words.
    """

    name: str
    version: str
    weights_sha256: str
    context: int
    accepted: AcceptedScans
    card: dict[str, Any]
    measured: Measured | None
    notes: tuple[str, ...]

    def guess_dose_fraction(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> float:
        """Dose of a scan over the standard dose, from the noise measured in the whole series."""
        ...

    def dose_range(
        self, noise: NoiseMeasure, *, slice_thickness_mm: float | None = None
    ) -> tuple[float, float]:
        """Dose fractions between which nine of ten such scans lie; the guess is one of them."""
        ...

    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
        lesion_contrast: float = LESION_CONTRAST,
    ) -> Estimate:
        """Judge the middle of (2 * context + 1, row, column) float32 HU slices.

        Args:
            window_hu: the slices.
            spacing_mm: row and column spacing.
            dose_fraction: dose of the scan over the standard dose; where absent the model guesses
                it from the noise of this slice.
            lesion_contrast: share of the input given back where faint lesions have their contrast,
                from 0 (least error) to 1 (all of it, and its coarse noise).
        """
        ...

    def sample(
        self,
        window_hu: NDArray,
        estimate: Estimate,
        *,
        spacing_mm: tuple[float, float],
        steps: int,
        seed: int,
    ) -> NDArray:
        """One image of the posterior, (row, column) float32 HU, by ``steps`` steps of a bridge.

        What is drawn follows from the seed and the pixels of the slice together: one seed draws
        nothing that two patients' images would share.
        """
        ...
