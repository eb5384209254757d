"""What must not be said any more, and texts without it.

While an object is surveyed, values of elements that will be removed or replaced are noted. Texts
that stay are then searched for them: as they are written, in other case, with other spaces and
without accents; dates as people write them; names part by part.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from isocenter.core.errors import UnreadableInput
from isocenter.deidentification.dates import forms_of

LEAST_LETTERS = 4
"""Shorter identifiers, such as a Study ID of 1, cannot be told from other words."""
LEAST_CODE_LETTERS = 7
LEAST_NAME_LETTERS = 3
LEAST_FOREIGN_LETTERS = 2
LEAST_DESCRIPTION_WORDS = 2
LEAST_DESCRIPTION_LETTERS = 12

_OF_THIS_PROGRAM = frozenset(("isocenter", "removed"))
"""What our own marks and replacements say; a Station Name may be one of them."""

MOST_LETTERS = 2**16
"""A longer text is not searched but dropped."""
MOST_VALUES = 20_000
MOST_COMPARISONS = 3 * 10**8

_NAME_PARTS = re.compile(r"[\^=\s,;/\\()]+")
_SPACES = re.compile(r"\s+")
_BEFORE_MARKS = re.compile(r" ([,;:.])")
_TITLES = r"dr|prof|mr|mrs|miss|sir|herr|frau|mme|mlle|doctor|professor|doktor"
_UID = re.compile(r"(?<![\d.])\d++(?:\.\d++){3,}(?!\d)")
# Each begins where a word or a number begins, so that a long text costs no more than its length.
_PATTERNS = re.compile(
    "|".join(
        (
            _UID.pattern,  # and addresses of computers
            r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+",  # mail addresses
            r"(?:https?://|www\.)\S++",
            r"\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b",  # dates
            r"\b\d{1,2}[. -]?(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)"
            r"[a-z]{0,7}[. -]?\d{2,4}\b",
            r"\b\d{1,2}:\d{2}(?::\d{2})?\b",  # times of day
            r"(?<!\d)\+?\d[\d ()/-]{5,}\d",  # telephone and other long numbers
            r"(?<!\w)(?=\w*?\d{5})\w++",
            rf"\b(?:{_TITLES})\b\.?(?:\s{{0,3}}[A-Z][\w'’-]*+\.?){{1,2}}",
            r"\b\d{1,3}\s?(?:y/?o|yrs?|years?\s+old|jahre|ans)\b",
            r"\b\d{2,3}\s?[mf]\b|\b[mf]\s?\d{2,3}\b",  # age with sex
        )
    ),
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """A text to compare by: one space between words, small letters, no accents."""
    parts = unicodedata.normalize("NFKD", text)
    bare = "".join(part for part in parts if not unicodedata.combining(part))
    return _SPACES.sub(" ", bare).strip().casefold()


@dataclass(kw_only=True)
class Identity:
    """Values that an object had and that nothing in it may say any more.

    Attributes:
        values: of names, numbers and dates, plain; found within any text.
        uids: as they are.
        descriptions: of descriptions and comments that were removed, plain.
    """

    values: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    descriptions: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.freeze()

    def note_name(self, name: str) -> None:
        """Keep the parts of a person's name, and the whole of each way it is written."""
        for group in name.split("="):
            words = [plain(part) for part in _NAME_PARTS.split(group) if part]
            wholes = {join.join(order) for join in (" ", "") for order in (words, words[::-1])}
            self.values |= {one for one in (*words, *wholes) if _is_long_name(one)}
        self.values.discard("")

    def note_value(self, text: str) -> None:
        """Keep an identifier, an address, or whatever else names somebody or something."""
        word = plain(text)
        if word in _OF_THIS_PROGRAM:
            return
        if len(word) >= LEAST_LETTERS or (not word.isascii() and len(word) > 1):
            self.values.add(word)

    def note_uid(self, uid: str) -> None:
        """Keep a UID."""
        self.uids.add(uid)

    def note_day(self, text: str) -> None:
        """Keep a date in the ways that people write it."""
        self.values |= {plain(form) for form in forms_of(text)}

    def note_description(self, text: str) -> None:
        """Keep a description; a single short word such as CHEST names nobody and is passed over."""
        words = plain(text)
        is_long = len(words) >= LEAST_DESCRIPTION_LETTERS
        if is_long or len(words.split()) >= LEAST_DESCRIPTION_WORDS:
            self.descriptions.add(words)

    def freeze(self) -> None:
        """Make ready to search; call it when the survey is over.

        Raises:
            UnreadableInput: more values than the header of any object has.
        """
        if len(self.values) + len(self.descriptions) > MOST_VALUES:
            raise _too_much()
        self._pattern = _any_of(self.values | self.descriptions)
        self._searched: dict[str, str] = {}
        self._comparisons = 0

    def is_told_by_code(self, text: str) -> bool:
        """Whether a code string or code value is no code, but one of the values.

        Codes are defined terms, so a word that is a part of somebody's name is no name there: a
        patient called HEAD does not take Body Part Examined with them. Numbers and whole names are.
        """
        code = plain(text)
        is_number = len(code) >= LEAST_CODE_LETTERS and any(letter.isdigit() for letter in code)
        is_name = any(mark in text.strip() for mark in " ^=")
        return (is_number or is_name) and plain(_NAME_PARTS.sub(" ", text)) in self.values

    def without(self, text: str) -> str:
        """A text without the values and the removed descriptions; itself where it has none.

        Raises:
            UnreadableInput: there is more text than the header of any object has.
        """
        if text not in self._searched:
            self._searched[text] = self._search(text)
        return self._searched[text]

    def _search(self, text: str) -> str:
        if len(text) > MOST_LETTERS:
            return ""
        self._comparisons += len(text) * len(self.values | self.descriptions)
        if self._comparisons > MOST_COMPARISONS:
            raise _too_much()
        rest = _UID.sub(self._unless_noted, text)
        if self._pattern is not None and self._pattern.search(plain(rest)) is not None:
            rest = _cut(rest, self._pattern)
        return text if rest == text else _tidy(rest)

    def _unless_noted(self, match: re.Match[str]) -> str:
        return " " if match[0] in self.uids else match[0]

    def cleaned(self, text: str) -> str:
        """A text without the values, and without what looks like an identifier.

        That is: dates and times of day, long numbers, addresses, titles with the names behind
        them, ages. A name that stands nowhere else in the object and follows no title is not found.
        """
        return _tidy(_PATTERNS.sub(" ", self.without(text)))


def _too_much() -> UnreadableInput:
    return UnreadableInput(
        "a header holds more names and texts than that of any real object; it may be damaged"
    )


def _is_long_name(word: str) -> bool:
    least = LEAST_NAME_LETTERS if word.isascii() else LEAST_FOREIGN_LETTERS
    return len(word) >= least


def _any_of(values: set[str]) -> re.Pattern[str] | None:
    """Any of some texts, the longest first: as whole words, where letters are written in words."""
    if not values:
        return None
    longest = sorted(values, key=lambda one: (-len(one), one))
    return re.compile("|".join(map(_as_pattern, longest)))


def _as_pattern(value: str) -> str:
    """A value in a text; of letters alone it is a word, between what are no letters."""
    escaped = re.escape(value).replace(r"\ ", r"[\s^=,_-]+")
    if not value.isascii():
        return escaped
    if any(letter.isdigit() for letter in value):  # a number, between what are no digits
        return rf"(?<!\d){escaped}(?!\d)" if value.isdigit() else escaped
    before = r"(?<![^\W\d_])" if value[0].isalpha() else ""
    after = r"(?![^\W\d_])" if value[-1].isalpha() else ""
    return before + escaped + after


def _cut(text: str, pattern: re.Pattern[str]) -> str:
    """Cut out of a text what its plain form matches."""
    places, letters = [], []
    for place, letter in enumerate(text):
        for part in plain(letter) if not letter.isspace() else " ":
            places.append(place)
            letters.append(part)
    kept = list(text)
    for match in pattern.finditer("".join(letters)):
        for place in places[match.start() : match.end()]:
            kept[place] = " "
    return "".join(kept)


def _tidy(text: str) -> str:
    return _BEFORE_MARKS.sub(r"\1", _SPACES.sub(" ", text)).strip(" ,;:-_^=/")
