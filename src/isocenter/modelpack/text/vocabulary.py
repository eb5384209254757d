"""A fixed list of known words, English and Chinese, and texts cut into them.

English is read word by word in lower case, numbers digit by digit. A run of Chinese characters is
cut so that as few characters as possible stay unknown, in as few words as possible. A character
that is known only inside words is not known alone, so a word cannot be taken for another made of
the same characters.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import ModelRefused
from isocenter.core.files import write_text

PADDING, UNKNOWN, START = "[padding]", "[unknown]", "[start]"
SPECIAL = (PADDING, UNKNOWN, START)
COMMA, STOP = ",", "."
_SIGNS = (COMMA, STOP, *"0123456789")
_MARKS = {**dict.fromkeys(",;、，；:：()（）", COMMA), **dict.fromkeys(".。!！?？\n", STOP)}
_RUNS = re.compile(r"\d+(?:\.\d+)?|[a-z0-9']+|[\u3400-\u9fff]+|[^\s\w]|\S", re.IGNORECASE)
MOST_WORDS = 100_000


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a text.

    Attributes:
        text: as it is read, in lower case.
        ids: of its tokens; a number has one for each digit.
        known: whether the vocabulary holds it.
    """

    text: str
    ids: tuple[int, ...]
    known: bool = True

    @property
    def is_mark(self) -> bool:
        """Whether it is punctuation."""
        return self.text in (COMMA, STOP)


class Vocabulary:
    """Known words, each with its number: padding 0, unknown 1, start 2, then marks and digits.

    Args:
        words: all of them in order, the special ones first, as :meth:`of` makes them.

    Raises:
        ValueError: words twice, too many, or not in the order that is needed.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if not all(isinstance(word, str) and word for word in words):
            raise ValueError("words of a vocabulary are texts that are not empty")
        if tuple(words[: len(SPECIAL) + len(_SIGNS)]) != (*SPECIAL, *_SIGNS):
            raise ValueError(f"a vocabulary begins with {', '.join((*SPECIAL, *_SIGNS))}")
        if len(set(words)) != len(words) or len(words) > MOST_WORDS:
            raise ValueError(f"a vocabulary holds each word once, at most {MOST_WORDS:,}")
        self.words = tuple(words)
        self._ids = {word: number for number, word in enumerate(words)}
        self._longest = max(len(word) for word in words)

    @classmethod
    def of(cls, words: Iterable[str]) -> Vocabulary:
        """The vocabulary of some words, in alphabetical order."""
        return cls([*SPECIAL, *_SIGNS, *sorted(set(words) - {*SPECIAL, *_SIGNS})])

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """From a JSON file that :meth:`write` made.

        Raises:
            ModelRefused: no such file, or no vocabulary.
        """
        try:
            return cls(json.loads(path.read_text(encoding="utf-8"))["words"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelRefused(f"{path.name} holds no vocabulary: {error}") from error

    def write(self, path: Path) -> None:
        """As JSON."""
        write_text(path, json.dumps({"words": self.words}, ensure_ascii=False, indent=0) + "\n")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def split(self, text: str) -> list[Word]:
        """Cut a text into words; unknown ones have the id of the unknown.

        Args:
            text: in any case, full-width or half-width.
        """
        plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
        return [word for run in _RUNS.findall(plain) for word in self._cut(run)]

    def unknown_words(self, text: str) -> list[str]:
        """Words of a text that are not known, each once, in order."""
        return list(dict.fromkeys(word.text for word in self.split(text) if not word.known))

    def near(self, word: str, *, most: int = 3) -> list[str]:
        """Known words that look like a word."""
        known = self.words[len(SPECIAL) + len(_SIGNS) :]
        near = difflib.get_close_matches(word, known, n=most, cutoff=0.6)
        if near or word.isascii():
            return near
        shared = [(len(set(word) & set(other)), other) for other in known if not other.isascii()]
        ranked = sorted((-count, other) for count, other in shared if count)
        return [other for _, other in ranked[:most]]

    def _cut(self, run: str) -> list[Word]:
        if run in self._ids and not run.isdecimal():
            return [self._word(run)]
        if run in _MARKS:
            return [self._word(_MARKS[run])]
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", run):
            return [Word(text=run, ids=tuple(self._ids[sign] for sign in run))]
        if re.fullmatch(r"[a-z']+", run) or len(run) == 1:
            return [] if re.fullmatch(r"[-/'\"“”‘_+]", run) else [self._word(run)]
        words = self._best_cut(run)
        if run.isascii() and not all(word.known and len(word.text) > 1 for word in words):
            return [self._word(run)]  # T12 is not T1 and a 2
        return words

    def _word(self, text: str) -> Word:
        number = self._ids.get(text, self._ids[UNKNOWN])
        return Word(text=text, ids=(number,), known=text in self._ids)

    def _best_cut(self, run: str) -> list[Word]:
        """The cut with fewest unknown characters, then fewest words, then the longest first."""
        best: list[tuple[int, int, int]] = [(0, 0, 0)]  # unknown, words, length of the last
        for end in range(1, len(run) + 1):
            ways = []
            for length in range(1, min(end, self._longest) + 1):
                unknown, count, _ = best[end - length]
                if run[end - length : end] in self._ids:
                    ways.append((unknown, count + 1, length))
            unknown, count, _ = best[end - 1]
            ways.append((unknown + 1, count + 1, 1))
            best.append(min(ways, key=lambda way: way[:2]))
        return self._joined(run, best)

    def _joined(self, run: str, best: list[tuple[int, int, int]]) -> list[Word]:
        words: list[Word] = []
        end = len(run)
        while end:
            length = best[end][2]
            word = self._word(run[end - length : end])
            if not word.known and words and not words[-1].known:
                words[-1] = self._word(word.text + words[-1].text)  # one unknown word, not many
            else:
                words.append(word)
            end -= length
        return words[::-1]
