"""Whose images they are, of which study and in which frame of reference: one answer a series.

Texts are compared without what DICOM gives no meaning (padding, empty parts of a name, upper or
lower case of a name, dots in a date), so that two ways to write one thing do not refuse a scan. An
empty element is an absent one. Messages name attributes and numbers of slices, never a value.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import UnsuitableScan

Identity = Mapping[str, str]
"""Comparable texts by keyword, "" where a header says nothing. It identifies a person."""

MIN_SLICES_IN_LINE = 3  # two positions are always in line


@dataclass(frozen=True, kw_only=True)
class _Trait:
    """An attribute that all slices of a series have in common.

    Attributes:
        name: as the standard has it.
        reason: of a refusal.
        meaning: what it is of, where it differs.
        may_lack: whether slices may be silent beside others that are not.
    """

    name: str
    reason: str
    meaning: str
    may_lack: bool = False


def _of_patient(name: str, *, may_lack: bool = False) -> _Trait:
    return _Trait(
        name=name, reason="mixed_patients", meaning="of different patients", may_lack=may_lack
    )


_TRAITS = {
    "PatientID": _of_patient("Patient ID"),
    "PatientName": _of_patient("Patient's Name"),
    "PatientBirthDate": _of_patient("Patient's Birth Date"),
    "PatientSex": _of_patient("Patient's Sex", may_lack=True),
    "IssuerOfPatientID": _of_patient("Issuer of Patient ID", may_lack=True),
    "StudyInstanceUID": _Trait(
        name="Study Instance UID", reason="mixed_studies", meaning="of different studies"
    ),
    "FrameOfReferenceUID": _Trait(
        name="Frame of Reference UID",
        reason="mixed_frames_of_reference",
        meaning="placed in different frames of reference",
    ),
    "Modality": _Trait(
        name="Modality", reason="mixed_modalities", meaning="of different modalities"
    ),
    "PatientPosition": _Trait(
        name="Patient Position",
        reason="mixed_patient_positions",
        meaning="of patients who lay differently",
        may_lack=True,
    ),
}
IDENTITY_KEYWORDS = tuple(_TRAITS)


def identity_of(values: Mapping[str, Any]) -> dict[str, str]:
    """What the elements of a header say, comparable."""
    return {keyword: _comparable(keyword, values.get(keyword)) for keyword in _TRAITS}


def _comparable(keyword: str, value: Any) -> str:
    if value is None:
        return ""
    several = not isinstance(value, str) and hasattr(value, "__iter__") and keyword != "PatientName"
    text = "\\".join(str(part) for part in value) if several else str(value)
    text = unicodedata.normalize("NFC", text).strip(" \0\t\r\n")
    if keyword == "PatientName":
        groups = (_comparable_name(group) for group in text.split("="))
        return "=".join(groups).rstrip("=")
    if keyword == "PatientBirthDate":
        return re.sub(r"[.\-]", "", text)
    return text


def _comparable_name(group: str) -> str:
    parts = (" ".join(part.split()) for part in group.split("^"))
    return "^".join(parts).rstrip("^").casefold()


def have_frames_of_their_own(identities: Sequence[Identity]) -> bool:
    """Whether every image names a frame of reference that no other names.

    Some archives give each image a new one. Whoever accepts that must see positions in line.
    """
    named = {identity["FrameOfReferenceUID"] for identity in identities} - {""}
    return len(named) == len(identities) >= MIN_SLICES_IN_LINE


def check_one_identity(
    identities: Sequence[Identity],
    num_slices: Sequence[int],
    *,
    frames_may_differ: bool,
    what: str = "the slices of one series",
) -> None:
    """Refuse images that are not of one patient, study, frame of reference and modality.

    Args:
        identities: of each file.
        num_slices: that each file holds.
        frames_may_differ: pass over the frames of reference.
        what: how a refusal names them.

    Raises:
        UnsuitableScan: naming every attribute that differs and in how many slices.
    """
    differing = [
        (trait, words)
        for keyword, trait in _TRAITS.items()
        if not (frames_may_differ and keyword == "FrameOfReferenceUID")
        and (words := _difference([one[keyword] for one in identities], num_slices, trait))
    ]
    if not differing:
        return
    meaning = " and ".join(dict.fromkeys(trait.meaning for trait, _ in differing))
    raise UnsuitableScan(
        f"{what} differ in {_joined([words for _, words in differing])}, so they "
        f"may be {meaning}; separate them, or export the series again",
        reason=differing[0][0].reason,
    )


def _difference(values: Sequence[str], num_slices: Sequence[int], trait: _Trait) -> str:
    """Such as "Patient ID (in 2 of 40)", "" where all say the same."""
    counts: Counter[str] = Counter()
    for value, number in zip(values, num_slices, strict=True):
        counts[value] += number
    num_silent = counts.pop("", 0)
    if len(counts) < 2 and (not num_silent or not counts or trait.may_lack):
        return ""
    total = num_silent + sum(counts.values())
    if len(counts) == 1:
        return f"{trait.name} (missing in {num_silent} of {total})"
    num_others = total - max(counts.values())
    return f"{trait.name} (in {num_others - trait.may_lack * num_silent} of {total})"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def is_uid(text: str) -> bool:
    """Whether it can stand for a UID; zeros before a part, which many write, are let pass."""
    return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)+", text)) and len(text) <= 64
