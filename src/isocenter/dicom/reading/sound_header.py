"""A whole header without what no program may rely on.

Results carry most of a header on, so every element must be what the standard says its tag is: of
its representation and multiplicity, finite, a UID where one is due. What is not is left out, and
its name is kept for a note. Elements that decide pixels or places are refused earlier, by the
rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.charset import python_encoding
from pydicom.datadict import (
    dictionary_description,
    dictionary_has_tag,
    dictionary_VM,
    dictionary_VR,
    keyword_for_tag,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset

from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import parse_file, refusing
from isocenter.dicom.reading.identity import is_uid

_TEXTS = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_NUMBERS = frozenset("DS FD FL IS SL SS SV UL US UV".split())
_FRACTIONS = frozenset(("DS", "FD", "FL", "IS"))
_BYTES = frozenset("OB OD OF OL OV OW".split())
_PATIENT_GROUP = 0x0010
_TIMEZONE = re.compile(r"([+-])(\d\d)([0-5]\d)")
_TIMEZONE_MINUTES = -12 * 60, 14 * 60

_NEEDED_IN_ITEMS = {
    "ReferencedSeriesSequence": ("SeriesInstanceUID",),
    "RelatedSeriesSequence": ("StudyInstanceUID", "SeriesInstanceUID"),
    "SourceImageEvidenceSequence": ("StudyInstanceUID", "ReferencedSeriesSequence"),
    "StudiesContainingOtherReferencedInstancesSequence": ("StudyInstanceUID",),
}
"""A reference without them refers to nothing."""


def sound_header(
    path: Path, *, what: str = "the file", limits: Limits = DEFAULT_LIMITS
) -> tuple[FileDataset, frozenset[str]]:
    """The whole header without pixels, and the names of the elements that were left out.

    Private elements that cannot be interpreted are left out without a word: none are written.

    Raises:
        UnreadableInput: the file cannot be read, or is beyond the limits.
    """
    dataset = parse_file(path, what=what, limits=limits).dataset
    left_out: set[str] = set()
    with refusing(f"{what} has a header that cannot be interpreted"):
        _make_sound(dataset, left_out)
    return dataset, frozenset(left_out)


def _make_sound(dataset: Dataset, left_out: set[str]) -> None:
    """Convert every element now, so that none can fail or warn later; drop what is wrong."""
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if is_sound := _is_sound(element):
                _make_items_sound(element, left_out)
        except RecursionError:
            raise
        except Exception:
            is_sound = False
        if not is_sound:
            dataset.pop(tag, None)
            if not tag.is_private and dictionary_has_tag(tag):
                left_out.add(dictionary_description(tag))


def _make_items_sound(element: DataElement, left_out: set[str]) -> None:
    if element.VR != "SQ":
        return
    for item in element.value or ():
        _make_sound(item, left_out)
    needed = _NEEDED_IN_ITEMS.get(keyword_for_tag(element.tag), ())
    whole = [item for item in element.value or () if all(item.get(keyword) for keyword in needed)]
    if len(whole) < len(element.value or ()):
        element.value = whole
        left_out.add(dictionary_description(element.tag))


def _is_sound(element: DataElement) -> bool:
    if element.is_empty:
        return True
    is_known = not element.tag.is_private and dictionary_has_tag(element.tag)
    expected = dictionary_VR(element.tag).split(" or ") if is_known else []
    if is_known and not _is_represented_as(str(element.VR), expected):
        return False
    if _FRACTIONS & {str(element.VR), *expected} and element.VR != "UN":
        numbers = np.array(element.value, float)  # pydicom lets text pass
        if not np.isfinite(numbers).all():
            return False
    if not is_known:
        return True
    if element.VR == "UI" and not all(is_uid(str(uid)) for uid in _values(element)):
        return False
    if keyword_for_tag(element.tag) == "TimezoneOffsetFromUTC":
        return _is_timezone(str(element.value))
    if keyword_for_tag(element.tag) == "SpecificCharacterSet":
        return all(str(term).strip() in python_encoding for term in _values(element))
    return element.tag.group == _PATIENT_GROUP or _has_multiplicity(element)


def _is_represented_as(given: str, expected: Iterable[str]) -> bool:
    """Whether one representation can stand for another; what is unknown is left to writing."""
    if given == "UN":
        return True
    kinds = (_TEXTS, _NUMBERS, _BYTES)
    return any(
        given == one or any(given in kind and one in kind for kind in kinds) for one in expected
    )


def _values(element: DataElement) -> list[Any]:
    return list(element.value) if element.VM > 1 else [element.value]


def _has_multiplicity(element: DataElement) -> bool:
    """Whether an element has as many values as its tag may have: "1", "2-n", "3-3n" ..."""
    if element.VR == "SQ" or element.VR in _BYTES or element.VR == "UN":
        return True
    least, _, most = dictionary_VM(element.tag).partition("-")
    if not least.isdecimal() or int(least) > element.VM:
        return False
    if not most:
        return int(least) == element.VM
    if most.isdecimal():
        return int(most) >= element.VM
    step = most.removesuffix("n") or "1"
    return not step.isdecimal() or element.VM % int(step) == 0


def _is_timezone(text: str) -> bool:
    match = _TIMEZONE.fullmatch(text.strip())
    if match is None:
        return False
    minutes = int(match[2]) * 60 + int(match[3])
    low, high = _TIMEZONE_MINUTES
    return low <= (-minutes if match[1] == "-" else minutes) <= high
