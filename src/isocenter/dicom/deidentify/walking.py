"""Through all elements of an object, those in sequences too, as rules say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from isocenter.dicom.deidentify.elements import (
    REMOVED,
    Action,
    Decision,
    Seen,
    element_at,
    empty,
    put,
    put_dummy,
    seen,
)

Done = Counter[tuple[int, Action]]
"""How often what was done, by tag; private elements count under tag 0."""

_CONCEPT_NAME = 0x0040A043
_UNITS = 0x004008EA
_GROUP_LENGTH = 0x0000
_META_GROUP = 0x0002
_OVERLAYS = range(0x6000, 0x6020, 2)
_CURVES = range(0x5000, 0x5020, 2)


class Rules(Protocol):
    """What is to be done; asked for every element before those in it."""

    def decide(self, element: Seen, /) -> Decision:
        """What to do with an element."""

    def decide_item(self, concept: tuple[str, str, str], /) -> Decision:
        """What to do with a Content Item: its concept's code and scheme, and its value type.

        REMOVE leaves the item out, DUMMY its values; anything else goes on with its elements.
        """


def survey(dataset: Dataset, parents: tuple[int, ...] = ()) -> Iterator[Seen]:
    """Every element as it is, those in sequences after the sequence itself."""
    for tag in list(dataset.keys()):
        yield seen(dataset, tag, parents)
        for item in _items(dataset, tag):
            yield from survey(item, (*parents, int(tag)))


def rewrite(dataset: Dataset, rules: Rules, parents: tuple[int, ...] = ()) -> Done:
    """Do in place with every element what the rules decide.

    Removed without a question: group lengths, commands, groups 0002 and 0004, and overlays and
    curves with all that describes them, as nothing here can tell what they show.
    """
    done: Done = Counter()
    _rewrite(dataset, rules, parents, done)
    return done


def _rewrite(dataset: Dataset, rules: Rules, parents: tuple[int, ...], done: Done) -> None:
    for tag in list(dataset.keys()):
        facts = seen(dataset, tag, parents)
        decision = REMOVED if _is_structure(tag) else rules.decide(facts)
        done[_counted(tag), decision.action] += 1
        _carry_out(dataset, tag, facts, decision, rules, done)
    _drop_lone_creators(dataset)


def _carry_out(
    dataset: Dataset, tag: BaseTag, facts: Seen, decision: Decision, rules: Rules, done: Done
) -> None:
    match decision.action:
        case Action.REMOVE:
            dataset.pop(tag, None)
        case Action.EMPTY:
            empty(dataset, tag)
        case Action.REPLACE:
            put(dataset, tag, decision.texts)
        case Action.DUMMY if facts.vr == "SQ":
            for item in _items(dataset, tag):
                _make_dummy(item, rules, (*facts.parents, int(tag)))
        case Action.DUMMY:
            put_dummy(dataset, tag)
        case Action.KEEP if facts.vr == "SQ":
            _rewrite_items(dataset[tag], rules, (*facts.parents, int(tag)), done)


def _rewrite_items(
    sequence: DataElement, rules: Rules, parents: tuple[int, ...], done: Done
) -> None:
    kept = []
    for item in sequence.value or ():
        concept = _concept_of(item)
        action = rules.decide_item(concept).action if concept is not None else Action.KEEP
        if action is Action.REMOVE:
            done[parents[-1], Action.REMOVE] += 1
            continue
        if action is Action.DUMMY:
            _make_dummy(item, rules, parents)
            done[parents[-1], Action.DUMMY] += 1
        else:
            _rewrite(item, rules, parents, done)
        kept.append(item)
    if len(kept) < len(sequence.value or ()):
        sequence.value = kept


def _concept_of(item: Dataset) -> tuple[str, str, str] | None:
    """What a Content Item is about, None of other items."""
    names = _items(item, Tag(_CONCEPT_NAME))
    if not names or "ValueType" not in item:
        return None
    code = names[0].get("CodeValue") or names[0].get("LongCodeValue") or ""
    scheme = names[0].get("CodingSchemeDesignator") or ""
    return str(code), str(scheme), str(item.get("ValueType") or "")


def _make_dummy(dataset: Dataset, rules: Rules, parents: tuple[int, ...]) -> None:
    """Leave the form of an item and nothing of what it said.

    Code strings, concept names and units are of the form. UIDs become what the rules make of them.
    """
    for tag in list(dataset.keys()):
        facts = seen(dataset, tag, parents)
        if tag.is_private or _is_structure(tag) or not facts.is_known:
            dataset.pop(tag, None)
        elif facts.vr == "SQ" and tag not in (_CONCEPT_NAME, _UNITS):
            for item in _items(dataset, tag):
                _make_dummy(item, rules, (*parents, int(tag)))
        elif facts.vr in ("SQ", "UI"):
            _carry_out(dataset, tag, facts, rules.decide(facts), rules, Counter())
        elif facts.vr != "CS" and not dataset[tag].is_empty:
            put_dummy(dataset, tag)


def _items(dataset: Dataset, tag: BaseTag) -> list[Dataset]:
    element = element_at(dataset, tag) if tag in dataset else None
    return list(element.value or ()) if element is not None and element.VR == "SQ" else []


def _is_structure(tag: BaseTag) -> bool:
    """Of a file or a message, not of an object: group lengths, commands, file meta, directories."""
    is_plane = tag.group in _OVERLAYS or tag.group in _CURVES
    return tag.element == _GROUP_LENGTH or tag.group in (0, _META_GROUP, 4) or is_plane


def _counted(tag: BaseTag) -> int:
    return 0 if tag.is_private else int(tag)


def _drop_lone_creators(dataset: Dataset) -> None:
    """Remove reservations of private blocks that hold nothing."""
    private = [tag for tag in list(dataset.keys()) if tag.is_private]
    used = {(tag.group, tag.elem >> 8) for tag in private if not tag.is_private_creator}
    for tag in private:
        if tag.is_private_creator and (tag.group, tag.elem) not in used:
            del dataset[tag]
