"""Which images are trained on and which are kept to judge: always whole patients.

Every family is split by these two rules and by nothing else, so that a network trained on several
families has seen no patient who judges it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

PARTS = ("train", "validation", "calibration", "test")
# Shares of the parts, in the order test, calibration, validation, train, as upper ends.
_ENDS = ((0.20, "test"), (0.26, "calibration"), (0.32, "validation"), (1.0, "train"))
# Contiguous runs of files, as shares of the collection: test blocks lie apart from each other.
_BLOCKS = (
    (0.10, "test"),
    (0.15, "calibration"),
    (0.86, "train"),
    (0.90, "validation"),
    (1.0, "test"),
)


def part_of_patient(family: str, patient: str) -> str:
    """The part of a named patient, by a digest of the name: no list is kept anywhere."""
    digest = hashlib.sha256(f"{family}:{patient}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return next(part for end, part in _ENDS if share < end)


def parts_of_blocks(number: int, *, gap: int) -> list[str]:
    """Parts of files whose patients are not named, but lie next to each other.

    Args:
        number: of the files of one class, in their order.
        gap: files at each side of a border between two parts that belong to none ("").
    """
    borders = [round(end * number) for end, _ in _BLOCKS]
    parts = []
    for place in range(number):
        block = next(k for k, end in enumerate(borders) if place < end)
        near = any(abs(place + 0.5 - border) < gap for border in borders[:-1])
        parts.append("" if near else _BLOCKS[block][1])
    return parts


def part_of_head(number: int) -> str:
    """The part of one of the 17 label maps, by its number from 1."""
    if number <= 12:
        return "train"
    return {13: "validation", 14: "calibration"}.get(number, "test")


def counts(parts: Sequence[str]) -> dict[str, int]:
    """How many images each part has; those of no part are left out."""
    return {part: sum(one == part for one in parts) for part in PARTS}
