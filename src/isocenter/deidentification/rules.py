"""What is done with each element of one object: the tables, the options and the secret key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from isocenter.core.errors import UnreadableInput
from isocenter.deidentification.dates import capped_age, shifted_date, shifted_date_time
from isocenter.deidentification.identity import Identity, plain
from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.options import Options
from isocenter.deidentification.profile import (
    Row,
    SafePrivate,
    content_rows,
    row_of,
    type_of,
)
from isocenter.dicom.deidentify.elements import (
    DUMMY,
    EMPTIED,
    KEPT,
    REMOVED,
    TEXTS,
    Decision,
    Seen,
    replaced,
)

PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
PATIENT_AGE = 0x00101010
_CHARACTER_SET = 0x00080005
_CODES = (0x00080100, 0x00080102, 0x00080103)
_TEXT_VALUE = 0x0040A160
_TIMEZONE = 0x00080201
_DAYS = ("DA", "DT")
_TIMES = ("DA", "DT", "TM")
_FREE_TEXTS = frozenset("AE LO LT PN SH ST UC UR UT".split())
_WORDS = _FREE_TEXTS | {"CS"}
_NOTED = _FREE_TEXTS | {"AS"}

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORMS = {
    "DS": re.compile(_NUMBER),
    "IS": re.compile(_NUMBER),
    "UI": re.compile(r"[\d.]{1,64}"),
    "DA": re.compile(r"\d{4}[.-]?\d{2}[.-]?\d{2}"),
    "TM": re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?"),
    "DT": re.compile(r"\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?"),
    "AS": re.compile(r"\d{3}[DWMY]"),
}
"""What numbers, dates and UIDs look like; libraries let anything pass in their place."""

_OF_THE_STANDARD = frozenset(
    (
        0x00080016,  # SOP Class UID and other names of kinds of objects
        0x0008001A,
        0x0008001B,
        0x00080062,
        0x0008115A,
        0x00081150,
        0x30100052,
        0x30100053,
        0x0008010C,  # Coding Scheme UID and other names of vocabularies
        0x0008010D,
        0x00080117,
        0x00080118,
        0x0008040E,  # transfer syntaxes
        0x00083002,
        0x00340003,
        0x04000010,
        0x04000510,
        0x00701904,  # no UIDs, although represented as such
    )
)
"""UIDs that name a kind, a vocabulary or an encoding, never an object of a patient."""

_ADDRESSES_OF_CODES = frozenset((0x0008010E, 0x00080120))


@dataclass(kw_only=True)
class ObjectRules:
    """Decides for the elements of one object; :class:`isocenter.dicom.deidentify.walking.Rules`.

    Attributes:
        options, key, safe: as chosen for all objects.
        sop_class: kind of the object.
        patient: what stands for the patient when pseudonym and shift of dates are derived.
        make: manufacturer and model, which stay; a station that is called as they are names nobody.
        lists_references: whether Common Instance Reference lists the instances that the object
            refers to; then the references stay, as one without the other is invalid.
        identity: values that texts must not hold, complete after the survey.
    """

    options: Options
    key: SecretKey
    safe: SafePrivate
    sop_class: str
    patient: str
    make: str = ""
    lists_references: bool = False
    identity: Identity = field(default_factory=Identity)

    def __post_init__(self) -> None:
        self._columns = tuple(self.options.columns())
        self._days = self.key.shift_days(self.patient)

    def note(self, element: Seen) -> None:
        """Survey an element: what goes is noted, so that texts that stay do not say it."""
        if not element.texts or not self._goes(element):
            return
        row = None if element.is_private else row_of(element.tag)
        is_description = row is not None and "descriptors" in row.options
        for text in filter(None, element.texts):
            if element.vr == "PN":
                self.identity.note_name(text)
            elif element.vr in _DAYS:
                self.identity.note_day(text)
            elif element.vr == "UI":
                if self._uid(element, text) != text:
                    self.identity.note_uid(text)
            elif element.vr in _FREE_TEXTS and is_description:
                self.identity.note_description(text)
            elif element.vr in _NOTED and row is not None and not self._is_make(row, text):
                self.identity.note_value(text)

    def _is_make(self, row: Row, text: str) -> bool:
        """Whether it is the name of the scanner's make; what has digits is a number of a device."""
        is_name = "device" in row.options and not any(letter.isdigit() for letter in text)
        return is_name and plain(text) in plain(self.make)

    def _goes(self, element: Seen) -> bool:
        """Whether the element, or a sequence that it lies in, does not stay."""
        if element.vr in ("PN", "UI") or element.is_private:
            return True
        action = self._action(element)
        if action in ("X", "Z", "D", "U") or (action == "C" and element.vr in _DAYS):
            return True
        return any(
            self._action(Seen(tag, "SQ", element.parents[:depth], "", ())) in ("X", "Z", "D")
            for depth, tag in enumerate(element.parents)
        )

    def decide(self, element: Seen) -> Decision:
        """What to do with an element."""
        if element.is_private:
            return self._private(element)
        if element.vr == "":
            return REMOVED
        if (pseudonym := self._pseudonym(element)) is not None:
            return replaced((pseudonym,))
        action = self._action(element)
        match action:
            case "X":
                return REMOVED
            case "Z":
                return EMPTIED
            case "D":
                return DUMMY if _says_something(element) else KEPT
            case "U":
                return self._uids(element)
            case "C":
                return self._cleaned(element)
        return self._kept(element)

    def _pseudonym(self, element: Seen) -> str | None:
        """Of a Patient ID, and of the name of the object's own patient; None for others."""
        if element.tag not in (PATIENT_ID, PATIENT_NAME):
            return None
        if not element.parents:
            return self.key.pseudonym(self.patient)
        is_other_id = element.tag == PATIENT_ID and element.texts
        return self.key.pseudonym(patient_of(element.texts[0], "")) if is_other_id else None

    def decide_item(self, concept: tuple[str, str, str]) -> Decision:
        """What to do with a Content Item; of a kind that no table knows, its elements decide."""
        row = content_rows().get(concept)
        if row is None:
            return DUMMY if concept[2] == "PNAME" else KEPT
        action = row.action(self._columns, None)
        return REMOVED if action == "X" else DUMMY if action == "D" else KEPT

    def _action(self, element: Seen) -> str:
        """X, Z, D, U, K or C of a public element."""
        row = row_of(element.tag)
        if row is None:
            return self._unlisted(element)
        kind = type_of(element.tag, self.sop_class, element.parents)
        action = row.action(self._columns, kind)
        is_shifted = action == "C" and "modified_dates" in row.options
        if is_shifted and element.vr not in (*_TIMES, "SH"):
            return row.action((), kind)
        if row.basic == "X/Z/U*" and action == "X" and self.lists_references:
            return "U"
        return "U" if action == "D" and element.vr == "UI" else action

    def _unlisted(self, element: Seen) -> str:
        """Of an element that Table E.1-1 does not have: by what it is.

        The table asks to think of dates, times and names by their representation, as new and
        retired attributes hold them too.
        """
        if not element.is_known:
            return "X"
        if element.tag == _TEXT_VALUE:
            return "C"
        if element.vr in _TIMES:
            return {"remove": "X", "modify": "C", "keep": "K"}[self.options.dates]
        if element.vr == "PN":
            return "X"
        if element.vr == "UI" and not _is_of_the_standard(element.tag):
            return "K" if self.options.retain_uids else "U"
        if element.vr == "UR" and element.tag not in _ADDRESSES_OF_CODES:
            return "X"
        return "K"

    def _uid(self, element: Seen, text: str) -> str:
        if self.options.retain_uids or _is_of_the_standard(element.tag):
            return text
        return self.key.uid(text)

    def _uids(self, element: Seen) -> Decision:
        """New UIDs; a sequence of references stays, and the UIDs within it are new."""
        if element.vr == "SQ":
            return KEPT
        if element.vr != "UI":
            return REMOVED
        return replaced(self._uid(element, text) for text in element.texts)

    def _kept(self, element: Seen) -> Decision:
        """An element that stays: as it is, unless it says what must not be said."""
        is_known = element.is_known or (row_of(element.tag) is not None and element.vr != "UN")
        if not is_known or not _has_its_form(element):
            return REMOVED
        if element.tag == PATIENT_AGE:
            ages = [capped_age(text, self.options.oldest_age_years) for text in element.texts]
            return replaced(age for age in ages if age is not None)
        if element.vr not in _WORDS or element.tag == _CHARACTER_SET:
            return KEPT
        if element.vr == "CS" or element.tag in _CODES:
            is_told = any(map(self.identity.is_told_by_code, element.texts))
            return (REMOVED if element.vr == "CS" else DUMMY) if is_told else KEPT
        texts = [self.identity.without(text) for text in element.texts]
        if texts == list(element.texts):
            return KEPT
        return replaced(text or "REMOVED" for text in texts)

    def _cleaned(self, element: Seen) -> Decision:
        """An element that stays without what identifies; where nothing is left, as without it."""
        if element.vr == "SQ":
            return KEPT
        if element.vr in _TIMES:
            return self._shifted(element)
        if element.tag == _TIMEZONE:
            is_one = all(re.fullmatch(r"[+-]\d{4}", text) for text in element.texts)
            return KEPT if is_one else REMOVED
        if element.vr in _FREE_TEXTS:
            texts = [self.identity.cleaned(text) for text in element.texts]
            if any(texts) or not any(element.texts):
                return replaced(texts)
            return self._without_options(element)
        return self._kept(element)

    def _shifted(self, element: Seen) -> Decision:
        if element.vr == "TM":
            return KEPT if _has_its_form(element) else self._without_options(element)
        shift = shifted_date if element.vr == "DA" else shifted_date_time
        dates = [shift(text, self._days) for text in element.texts if text]
        if None in dates:
            return self._without_options(element)
        return replaced(one for one in dates if one is not None)

    def _without_options(self, element: Seen) -> Decision:
        row = row_of(element.tag)
        kind = type_of(element.tag, self.sop_class, element.parents)
        action = "X" if row is None else row.action((), kind)
        return {"X": REMOVED, "Z": EMPTIED}.get(action, DUMMY)

    def _private(self, element: Seen) -> Decision:
        """A private element: removed, unless the list has it and what it is can be read."""
        if not self.options.retain_safe_private or not element.creator:
            return REMOVED
        group, number = element.tag >> 16, element.tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            return KEPT if self.safe.has_creator(element.creator, group) else REMOVED
        expected = self.safe.vr(element.creator, element.tag)
        if expected is None or element.vr in ("", "UN"):
            return REMOVED
        if not _has_its_form(element):
            return REMOVED
        if element.vr == "UI":
            return replaced(self._uid(element, text) for text in element.texts)
        if element.vr in (*_TIMES, "PN") or element.vr not in (expected or element.vr).split("/"):
            return REMOVED
        if element.vr in _FREE_TEXTS:
            return replaced(self.identity.cleaned(text) for text in element.texts)
        is_told = element.vr == "CS" and any(map(self.identity.is_told_by_code, element.texts))
        return REMOVED if is_told else KEPT


def _has_its_form(element: Seen) -> bool:
    """Whether values that must be numbers, dates or UIDs are; anything else may be words."""
    form = _FORMS.get(element.vr)
    return form is None or all(not text or form.fullmatch(text) for text in element.texts)


def _says_something(element: Seen) -> bool:
    return element.vr not in TEXTS or any(element.texts)


@cache
def _is_of_the_standard(tag: int) -> bool:
    return tag in _OF_THE_STANDARD


def patient_of(patient_id: str, study_uid: str) -> str:
    """What stands for a patient: the Patient ID, or the study where there is none.

    Raises:
        UnreadableInput: neither is there.
    """
    if patient_id:
        return f"id {patient_id}"
    if study_uid:
        return f"study {study_uid}"
    raise UnreadableInput("an object names neither patient nor study", reason="identity")
