"""What rules are told of an element, and what they may ask for: no pydicom beyond this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom import config
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

TEXTS = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_NUMBERS = frozenset("FD FL SL SS SV UL US UV".split())
_CODING_SCHEME_DESIGNATOR = 0x00080102
_DUMMY = "REMOVED"
_DUMMIES: dict[str, Any] = {
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "AS": "000Y",
    "DS": "0",
    "IS": "0",
    "UR": "urn:removed",
    "AT": 0,
}


class Action(StrEnum):
    """What is done with an element."""

    KEEP = "kept"
    REMOVE = "removed"
    EMPTY = "emptied"
    DUMMY = "dummy"
    REPLACE = "replaced"


class Seen(NamedTuple):
    """An element as rules see it.

    Attributes:
        tag: group and element as one number.
        vr: two letters, as it is encoded; "" where it cannot be interpreted.
        parents: tags of the sequences that it lies in, the outermost first.
        creator: Private Creator of a private element, "" where it has none.
        texts: its values where they are text, else none.
    """

    tag: int
    vr: str
    parents: tuple[int, ...]
    creator: str
    texts: tuple[str, ...]

    @property
    def is_private(self) -> bool:
        return bool(self.tag >> 16 & 1)

    @property
    def is_known(self) -> bool:
        """Whether the dictionary has it, with a representation that can stand for this one."""
        return is_as_in_dictionary(self.tag, self.vr)


class Decision(NamedTuple):
    """What rules ask for; ``texts`` are the new values of REPLACE."""

    action: Action
    texts: tuple[str, ...] = ()


KEPT = Decision(Action.KEEP)
REMOVED = Decision(Action.REMOVE)
EMPTIED = Decision(Action.EMPTY)
DUMMY = Decision(Action.DUMMY)


def replaced(texts: Iterable[str]) -> Decision:
    """New values."""
    return Decision(Action.REPLACE, tuple(texts))


@lru_cache(maxsize=2**14)
def is_as_in_dictionary(tag: int, vr: str) -> bool:
    """Whether the standard gives a tag this representation, or one text for another."""
    if not dictionary_has_tag(tag):
        return False
    known = [dictionary_VR(tag), *dictionary_VR(tag).split(" or ")]
    return vr in known or (vr in TEXTS and any(one in TEXTS for one in known))


def name_of(tag: int) -> str:
    """The standard's name of a tag, "" where it has none; never text of a file."""
    return dictionary_description(tag) if dictionary_has_tag(tag) else ""


def element_at(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """An element with its values, None where they cannot be interpreted."""
    try:
        element = dataset[tag]
        if element.VR == "SQ":
            list(element.value or ())
    except RecursionError:
        raise
    except Exception:
        return None
    return element


def seen(dataset: Dataset, tag: BaseTag, parents: tuple[int, ...]) -> Seen:
    """What rules are told of an element."""
    element = element_at(dataset, tag)
    return Seen(
        tag=int(tag),
        vr="" if element is None else str(element.VR),
        parents=parents,
        creator=_creator(dataset, tag) if tag.is_private else "",
        texts=() if element is None else tuple(_texts(element)),
    )


def _creator(dataset: Dataset, tag: BaseTag) -> str:
    if tag.is_private_creator:
        place = tag
    else:
        place = BaseTag(tag.group << 16 | tag.elem >> 8)
        if not place.is_private_creator:
            return ""
    element = element_at(dataset, place) if place in dataset else None
    return "" if element is None else str(element.value or "").strip(" \0")


def _texts(element: DataElement) -> Iterator[str]:
    if element.VR not in TEXTS or element.is_empty:
        return
    for value in element.value if element.VM > 1 else [element.value]:
        written = getattr(value, "original_string", None)  # of a number
        yield (written if isinstance(written, str) else str(value)).strip(" \0\r\n\t")


def put(dataset: Dataset, tag: BaseTag, texts: Iterable[str]) -> None:
    """Give an element new texts; where it was encoded as none, it is from now on."""
    values = list(texts)
    value = values[0] if len(values) == 1 else values
    present = str(dataset[tag].VR)
    vr = present if present in TEXTS else _vr_for(dataset, tag)
    dataset[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)


def empty(dataset: Dataset, tag: BaseTag) -> None:
    """Leave an element without value."""
    vr = _vr_for(dataset, tag)
    value: Any = [] if vr == "SQ" else None
    dataset[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)


def put_dummy(dataset: Dataset, tag: BaseTag) -> None:
    """Give an element, which is no sequence, a value that says nothing and fits its kind."""
    vr = _vr_for(dataset, tag)
    dataset[tag] = DataElement(tag, vr, _dummy(int(tag), vr), validation_mode=config.IGNORE)


def _dummy(tag: int, vr: str) -> Any:
    if tag == _CODING_SCHEME_DESIGNATOR:
        return "99ISOCENTER"
    if vr in _NUMBERS:
        return 0
    if vr in _DUMMIES:
        return _DUMMIES[vr]
    return _DUMMY if vr in TEXTS else b"\0" * 8


def _vr_for(dataset: Dataset, tag: BaseTag) -> str:
    """The representation of the dictionary, that of the element where it has none or several."""
    known = dictionary_VR(tag).split(" or ") if dictionary_has_tag(tag) else []
    if len(known) == 1:
        return known[0]
    element = element_at(dataset, tag)
    present = "UN" if element is None else str(element.VR)
    return present if present in known or not known else known[0]
