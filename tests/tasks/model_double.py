"""Models that cost nothing, and a program that enhances with one of them and may kill itself.

Run as a program: INPUT OUTPUT [MOMENT...], where a MOMENT is a number of slices done or "rename".
With moments, one process after the other enhances and kills itself there; fails if one lives on.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.modelpack.ct_enhance.contract import AcceptedScans, Estimate
from isocenter.modelpack.ct_enhance.measured import Measured

ANYTHING = (0.0, 1e6)


@dataclass(frozen=True, kw_only=True)
class Accepted(AcceptedScans):
    """Ranges like those of a model's card; by default they take any scan."""

    pixel_spacing_mm: tuple[float, float] = ANYTHING
    field_of_view_mm: tuple[float, float] = ANYTHING
    slice_thickness_mm: tuple[float, float] = ANYTHING
    noise_hu: tuple[float, float] = ANYTHING
    noise_mean_frequency_per_mm: tuple[float, float] = ANYTHING


@dataclass
class ModelDouble:
    """Smooths within the slice and a little along the neighbours; samples add seeded noise."""

    smoothing: float = 1.0
    context: int = 1
    accepted: AcceptedScans = field(default_factory=Accepted)
    name: str = "double"
    version: str = "1"
    weights_sha256: str = "ab" * 32
    card: dict[str, Any] = field(
        default_factory=lambda: {
            "intended_use": ["tests"],
            "not_for": ["people"],
            "coverage": "No interval of this model was ever checked.",
            "training": {"patients": 0, "licence": None},
        }
    )
    measured: Measured | None = None
    notes: tuple[str, ...] = ()
    windows: list[NDArray] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    dose_fractions: list[float | None] = field(default_factory=list)
    guessed_from: list[tuple[float, float | None]] = field(default_factory=list)

    def guess_dose_fraction(self, noise: Any, *, slice_thickness_mm: float | None = None) -> float:
        self.guessed_from.append((noise.level_hu, slice_thickness_mm))
        return 0.31

    def dose_range(
        self, noise: Any, *, slice_thickness_mm: float | None = None
    ) -> tuple[float, float]:
        return 0.12, 0.58

    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
        lesion_contrast: float = 0.5,
    ) -> Any:
        self.dose_fractions.append(dose_fraction)
        self.windows.append(window_hu.copy())
        del self.windows[:-4]
        mean = window_hu[self.context]
        if self.smoothing:
            mean = 0.9 * mean + 0.1 * window_hu.mean(axis=0)
            mean = ndimage.gaussian_filter(mean, self.smoothing)
        spread = np.float32(5.0)
        return SimpleNamespace(mean_hu=mean, lower_hu=mean - spread, upper_hu=mean + 3 * spread)

    def sample(
        self,
        window_hu: NDArray,
        estimate: Any,
        *,
        spacing_mm: tuple[float, float],
        steps: int,
        seed: int,
    ) -> NDArray:
        self.seeds.append(seed)
        noise = np.random.default_rng(seed).normal(0, 8, estimate.mean_hu.shape)
        return (estimate.mean_hu + noise).astype(np.float32)


class IdentityEnhancer:
    """Leaves every slice as it is: the measure of what the path around a model does to pixels."""

    name = "identity"
    version = "1"
    weights_sha256 = "0" * 64
    context = 1
    accepted = Accepted()
    measured = None
    notes = ()

    def __init__(self) -> None:
        self.card: dict[str, Any] = {
            "name": self.name,
            "intended_use": "Checks of the path around a model.",
            "limits": ["Changes nothing."],
        }

    def guess_dose_fraction(self, noise: Any, *, slice_thickness_mm: float | None = None) -> float:
        return 1.0

    def dose_range(
        self, noise: Any, *, slice_thickness_mm: float | None = None
    ) -> tuple[float, float]:
        return 0.5, 1.0

    def estimate(
        self,
        window_hu: NDArray,
        *,
        spacing_mm: tuple[float, float],
        dose_fraction: float | None = None,
        lesion_contrast: float = 0.5,
    ) -> Estimate:
        middle = window_hu[len(window_hu) // 2]
        return Estimate(mean_hu=middle, lower_hu=middle, upper_hu=middle)

    def sample(
        self,
        window_hu: NDArray,
        estimate: Estimate,
        *,
        spacing_mm: tuple[float, float],
        steps: int,
        seed: int,
    ) -> NDArray:
        return estimate.mean_hu


def unchanged() -> ModelDouble:
    """The identity: what goes in comes out."""
    return ModelDouble(smoothing=0, name="unchanged")


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def enhance_until(moment: str | None, scan: str, output: str) -> None:
    from isocenter.core import files
    from isocenter.tasks.ct_enhance.enhance import enhance

    def follow(done: int, total: int) -> None:
        if str(done) == moment:
            _die()

    if moment == "rename":
        setattr(files, "rename_folder", _die)  # noqa: B010  mypy forbids the plain way
    enhance(scan, output, strength=0.5, seed=3, model=ModelDouble(), progress=follow)


def die_at(moment: str, scan: str, output: str) -> None:
    process = os.fork()
    if process == 0:
        enhance_until(moment, scan, output)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(f"not killed at {moment}")


def main(scan: str, output: str, *moments: str) -> None:
    import isocenter.tasks.ct_enhance.enhance  # noqa: F401  takes seconds, so once for all processes

    for moment in moments:
        die_at(moment, scan, output)
    if not moments:
        enhance_until(None, scan, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
