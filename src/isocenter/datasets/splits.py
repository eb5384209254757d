"""Which patient is trained on and which judges: parts of a collection, never of a patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from isocenter.core.checks import check_least
from isocenter.core.errors import InputRefused
from isocenter.core.seeds import derived_seed

TRAIN, VALIDATION, CALIBRATION, TEST = PARTS = ("train", "validation", "calibration", "test")
_SEED_RANGE = 2**63


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """Named patients first, a share of all others by hash; who is left is trained on.

    A patient's part follows from the seed and the patient alone, so further patients move nobody.

    Attributes:
        validation, calibration, test: patients by name.
        validation_share, calibration_share, test_share: of the patients who are not named.
        seed: of the hash.
        least_train, least_validation, least_calibration, least_test: patients a part must have.
    """

    validation: tuple[str, ...] = ()
    calibration: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_share: float = 0.0
    calibration_share: float = 0.0
    test_share: float = 0.0
    seed: int = 0
    least_train: int = 1
    least_validation: int = 1
    least_calibration: int = 3
    least_test: int = 0

    def __post_init__(self) -> None:
        named = {part: getattr(self, part) for part in PARTS[1:]}
        for (first, ones), (second, others) in combinations(named.items(), 2):
            if both := len(set(ones) & set(others)):
                raise ValueError(
                    f"{_patients(both)} named in two parts, {first} and {second}; name each in one"
                )
        for part in PARTS:
            check_least(f"least_{part}", getattr(self, f"least_{part}"), 0 if part == TEST else 1)
        check_least("seed", self.seed, 0)
        shares = [getattr(self, f"{part}_share") for part in PARTS[1:]]
        if min(shares) < 0 or not sum(shares) < 1:
            raise ValueError(
                f"shares are at least 0 and leave patients to train on, got {shares}, "
                f"{sum(shares):g} together"
            )

    def part_of(self, patient: str) -> str:
        """One of ``PARTS``."""
        for part in PARTS[1:]:
            if patient in getattr(self, part):
                return part
        place = derived_seed(self.seed, "split", patient) / _SEED_RANGE
        for part in (TEST, CALIBRATION, VALIDATION):
            share = getattr(self, f"{part}_share")
            if place < share:
                return part
            place -= share
        return TRAIN


def check_parts(part_of: Mapping[str, str], rule: SplitRule) -> None:
    """See that each part has enough patients.

    Args:
        part_of: the part of each patient whose scans can be used.
        rule: by which they were split.

    Raises:
        InputRefused: says how many each part has and needs, and what to do.
    """
    have = count_parts(part_of.values())
    need = {part: getattr(rule, f"least_{part}") for part in PARTS}
    short = [part for part in PARTS if have[part] < need[part]]
    if not short:
        return
    listed = ", ".join(f"{part} has {have[part]} of at least {need[part]}" for part in short)
    raise InputRefused(
        f"{_patients(len(part_of))} with usable scans: too few in {len(short)} of {len(PARTS)} "
        f"parts: {listed}. {_advice(short, len(part_of), need)}"
    )


def count_parts(parts: Iterable[str]) -> dict[str, int]:
    """How many there are of each part."""
    listed = list(parts)
    return {part: listed.count(part) for part in PARTS}


def _advice(short: list[str], num_patients: int, need: Mapping[str, int]) -> str:
    least = sum(need.values())
    if num_patients < least:
        return f"At least {least} patients are needed; add scans of others"
    shares = " and ".join(f"split.{part}_share" for part in short if part != TRAIN)
    if not shares:
        return "Add patients, or lower the shares of the other parts"
    return f"Add patients, raise {shares}, or try another split.seed"


def _patients(count: int) -> str:
    return "1 patient" if count == 1 else f"{count} patients"
