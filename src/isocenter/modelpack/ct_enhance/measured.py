"""What was measured of a CT model after it was made: how often its interval held, what it kept.

A benchmark publishes these figures as ``measured.json`` in the model's folder. They explain the
model and decide no pixel, so a folder may lack them, and correcting them makes no other model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from isocenter.core.errors import ModelRefused
from isocenter.modelpack.ct_enhance.calibration import CLASSES

MEASURED = "measured"
VERSION = 1
# Noise and the method of measuring leave a kept share a little below nothing or above all.
KEPT_SHARES = (-0.5, 2.0)


@dataclass(frozen=True, kw_only=True)
class CoverageSet:
    """How often the interval held the truth in one set of pairs.

    Attributes:
        name: of the set, in words.
        patients: how many it has.
        pooled: share of all its voxels.
        tissues: the same for some classes of the calibration, by name.
    """

    name: str
    patients: int
    pooled: float
    tissues: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class MeasuredCoverage:
    """What the interval promises, and what it held in sets that were never used to make it."""

    promised: float
    sets: tuple[CoverageSet, ...]

    @property
    def pooled(self) -> tuple[float, float]:
        """Lowest and highest share over the sets."""
        shares = [each.pooled for each in self.sets]
        return min(shares), max(shares)

    @property
    def shares(self) -> str:
        """Both in words, such as "86 to 90 %"."""
        low, high = (f"{100 * share:.0f}" for share in self.pooled)
        return f"{low if low == high else f'{low} to {high}'} %"

    def in_words(self) -> str:
        """Such as "86 to 90 % of voxels in 3 measured sets of pairs"."""
        sets = "one measured set" if len(self.sets) == 1 else f"{len(self.sets)} measured sets"
        return f"{self.shares} of voxels in {sets} of pairs"


@dataclass(frozen=True, kw_only=True)
class KeptContrast:
    """Which share of a faint lesion's contrast is left after enhancement.

    Attributes:
        contrast_hu: of the lesions that were inserted.
        diameter_mm: of these lesions, rising.
        noise_hu: of the scans that they were inserted into, rising.
        strength: of the enhancement.
        kept: one row a noise level, one share a diameter.
    """

    contrast_hu: float
    diameter_mm: tuple[float, ...]
    noise_hu: tuple[float, ...]
    strength: float
    kept: tuple[tuple[float, ...], ...]

    def at(self, noise_hu: float) -> tuple[float, ...]:
        """Shares for each diameter at a noise level, linear in its logarithm between rows.

        Below the lowest level and above the highest the nearest row stands; see :meth:`reaches`.
        """
        levels = np.log(self.noise_hu)
        place = np.log(max(noise_hu, 1e-3))
        return tuple(
            float(np.interp(place, levels, column)) for column in zip(*self.kept, strict=True)
        )

    def reaches(self, noise_hu: float) -> bool:
        """Whether lesions were inserted at noise as low and as high as this."""
        return self.noise_hu[0] <= noise_hu <= self.noise_hu[-1]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of one model, which its digest names."""

    weights_sha256: str
    coverage: MeasuredCoverage
    contrast: KeptContrast


def from_json(table: Mapping[str, Any]) -> Measured:
    """Read the figures.

    Raises:
        ModelRefused: something is missing, unknown, of another type or cannot be.
    """
    whole = _Part(table, "", {"version", "weights_sha256", "coverage", "contrast"})
    version = whole.take("version", _is_whole, "a whole number")
    if version != VERSION:
        raise _refusal(f"has version {version}, and version {VERSION} is read")
    return Measured(
        weights_sha256=whole.take("weights_sha256", _is_digest, "64 hexadecimal digits"),
        coverage=_coverage(whole.part("coverage", {"promised", "sets"})),
        contrast=_contrast(
            whole.part("contrast", {"contrast_hu", "diameter_mm", "noise_hu", "strength", "kept"})
        ),
    )


def measured_of(table: Mapping[str, Any], weights_sha256: str) -> tuple[Measured | None, str]:
    """The figures where they are of these weights; else None and a sentence that says so.

    Raises:
        ModelRefused: as :func:`from_json`.
    """
    measured = from_json(table)
    if measured.weights_sha256 == weights_sha256:
        return measured, ""
    return None, (
        f"The model folder's {MEASURED}.json was measured on other weights "
        f"({measured.weights_sha256[:12]}) and is left aside; measure this model again."
    )


def _coverage(part: _Part) -> MeasuredCoverage:
    sets = part.take("sets", lambda value: isinstance(value, list) and bool(value), "a list")
    return MeasuredCoverage(
        promised=part.take("promised", _is_share, "a share above 0 and up to 1"),
        sets=tuple(
            _coverage_set(
                _Part(one, f"coverage.sets[{at}].", {"name", "patients", "pooled", "tissues"})
            )
            for at, one in enumerate(sets)
        ),
    )


def _coverage_set(part: _Part) -> CoverageSet:
    tissues = part.part("tissues", set(CLASSES))
    return CoverageSet(
        name=part.take("name", lambda value: isinstance(value, str) and bool(value), "a name"),
        patients=part.take("patients", lambda v: _is_whole(v) and v > 0, "a number of patients"),
        pooled=part.take("pooled", _is_share, "a share above 0 and up to 1"),
        tissues={
            name: tissues.take(name, _is_share, "a share above 0 and up to 1")
            for name in CLASSES
            if name in tissues.table
        },
    )


def _contrast(part: _Part) -> KeptContrast:
    rising = "positive numbers that rise"
    diameters = part.take("diameter_mm", _rises, rising)
    levels = part.take("noise_hu", _rises, rising)
    rows = part.take(
        "kept",
        lambda value: _is_grid(value, len(levels), len(diameters)),
        f"{len(levels)} rows of {len(diameters)} shares from {KEPT_SHARES[0]:g} to "
        f"{KEPT_SHARES[1]:g}",
    )
    return KeptContrast(
        contrast_hu=part.take("contrast_hu", lambda v: _is_number(v) and v != 0, "a contrast"),
        diameter_mm=tuple(map(float, diameters)),
        noise_hu=tuple(map(float, levels)),
        strength=part.take("strength", lambda v: _is_number(v) and 0 <= v <= 1, "from 0 to 1"),
        kept=tuple(tuple(map(float, row)) for row in rows),
    )


class _Part:
    """An object of the file, and where it stands."""

    def __init__(self, table: object, where: str, known: set[str]) -> None:
        if not isinstance(table, Mapping):
            raise _refusal(f"needs an object at {where.rstrip('.') or 'the top'}")
        for name in sorted(table.keys() - known):
            raise _refusal(
                f"holds {where}{name!s:.40}, which is not known; known are "
                f"{', '.join(sorted(known))}"
            )
        self.table = table
        self.where = where

    def part(self, name: str, known: set[str]) -> _Part:
        return _Part(self.table.get(name), f"{self.where}{name}.", known)

    def take(self, name: str, fits: Callable[[Any], bool], wanted: str) -> Any:
        value = self.table.get(name)
        if not fits(value):
            raise _refusal(f"needs {wanted} for {self.where}{name}, got {value!r:.60}")
        return value


def _refusal(what: str) -> ModelRefused:
    return ModelRefused(
        f"the model's file {MEASURED}.json {what}; publish the figures again, or remove the file "
        "and its line in SHA256SUMS"
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and bool(np.isfinite(value))


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def _rises(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(map(_is_number, value)):
        return False
    return value[0] > 0 and all(a < b for a, b in pairwise(value))


def _is_grid(value: Any, rows: int, columns: int) -> bool:
    low, high = KEPT_SHARES
    return (
        isinstance(value, list)
        and len(value) == rows
        and all(isinstance(row, list) and len(row) == columns for row in value)
        and all(_is_number(one) and low <= one <= high for row in value for one in row)
    )
