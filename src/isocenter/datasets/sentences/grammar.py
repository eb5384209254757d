"""Sentences for a meaning: English or Simplified Chinese, in one of very many wordings.

A sentence says all of its meaning and nothing else, so a meaning is first cut to what is to be told
(:func:`isocenter.datasets.sentences.meaning.part_of`).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from isocenter.datasets.sentences.chinese import CHINESE
from isocenter.datasets.sentences.english import ENGLISH
from isocenter.datasets.sentences.meaning import OF_FINDING, PNEUMONIAS, Meaning
from isocenter.datasets.sentences.phrases import Forms, Language

LANGUAGES = {language.name: language for language in (ENGLISH, CHINESE)}
# An encoder that reads forty tokens has room for a mark at the beginning and one more.
MOST_WORDS = 38
_OF_IMAGE = ("contrast", "plane", "population", "level", "kernel")
_LUNGS = (*PNEUMONIAS, "pneumonia")
# One pair of phrases in so many is never said together in training.
_HELD_OUT_OF = 150


@dataclass(frozen=True, kw_only=True)
class Said:
    """A sentence and the phrases that were chosen for it."""

    text: str
    phrases: tuple[str, ...]

    @property
    def held_out(self) -> bool:
        """Whether it brings two phrases together that training never does.

        Each phrase is met in training with other company, so a reader that understands phrases,
        and has not learned sentences by heart, reads these as well.
        """
        pairs = combinations(sorted(set(self.phrases)), 2)
        return any(zlib.crc32("|".join(pair).encode()) % _HELD_OUT_OF == 0 for pair in pairs)


def sentence(meaning: Meaning, rng: np.random.Generator, language: str = "en") -> str:
    """One of the sentences that say a meaning.

    Args:
        meaning: what is said, no more and no less.
        rng: chooses words, order, punctuation and case.
        language: "en" or "zh".

    Raises:
        ValueError: another language.
    """
    return say(meaning, rng, language).text


def say(meaning: Meaning, rng: np.random.Generator, language: str = "en") -> Said:
    """As :func:`sentence`, with the phrases that were chosen."""
    if language not in LANGUAGES:
        raise ValueError(f"language is one of {', '.join(LANGUAGES)}, got {language!r}")
    for _ in range(8):
        teller = _Teller(LANGUAGES[language], rng)
        words = teller.words(meaning)
        if num_words(words) <= MOST_WORDS:
            return Said(text=teller.written(words), phrases=tuple(teller.chosen))
    teller = _Teller(LANGUAGES[language], rng, brief=True)
    return Said(text=teller.written(teller.words(meaning)), phrases=tuple(teller.chosen))


def num_words(words: Sequence[str]) -> int:
    """How many tokens words are: digits are read one by one, hyphens part words."""
    return sum(
        len(re.findall(r"\d(?!\w*[a-z])|\.(?=\d)|[^\s\d-]+\d*\w*|,", word.lower()) or "-")
        for word in words
    )


def words_known(language: str) -> list[str]:
    """Every word that sentences of a language may hold, in alphabetical order, as lower case."""
    phrases = " ".join(LANGUAGES[language].phrases()).lower()
    articles = {"a", "an"} if LANGUAGES[language].spaced else set()
    return sorted({word for word in re.split(r"[\s\-{},:，]+", phrases) if word} | articles)


@dataclass
class _Teller:
    """Chooses phrases for one sentence and remembers them."""

    language: Language
    rng: np.random.Generator
    brief: bool = False
    chosen: list[str] = field(default_factory=list)

    def one(self, options: Sequence[str]) -> str:
        phrase = options[0 if self.brief else int(self.rng.integers(len(options)))]
        self.chosen.append(phrase)
        return phrase

    def chance(self, probability: float) -> bool:
        return not self.brief and bool(self.rng.random() < probability)

    def shuffled(self, phrases: list[str]) -> list[str]:
        return phrases if self.brief else [phrases[k] for k in self.rng.permutation(len(phrases))]

    def words(self, meaning: Meaning) -> list[str]:
        """The sentence as words and punctuation."""
        parts = self.listed(meaning) if self.brief or self.chance(0.3) else self.told(meaning)
        if parts and self.chance(0.12):
            parts = [self.one(self.language.leads), *parts]
        words = [word for part in parts for word in part.split()]
        while words and words[-1] == self.language.comma:
            words.pop()
        return [*words, self.language.stop] if words and self.chance(0.4) else words

    def listed(self, meaning: Meaning) -> list[str]:
        """Key words in any order, with commas or without."""
        phrases = [
            self.form(meaning, name, either=True) for name in _OF_IMAGE if getattr(meaning, name)
        ]
        if meaning.modality:
            phrases.append(self.one(self.language.images[meaning.modality]))
        if meaning.finding == "normal":
            phrases.append(self.normal(meaning))
        elif meaning.finding:
            phrases.append(self.one(self.language.findings[meaning.finding]))
        phrases += [self.of_finding(meaning, name, either=True) for name in self.described(meaning)]
        commas = self.brief or self.chance(0.6)
        between = [self.language.comma] if commas else []
        denials = self.denials(meaning)
        parts: list[str] = []
        for phrase in self.shuffled([*phrases, *denials]):
            # What is denied ends at a comma, or the next word would seem denied too.
            if phrase in denials:
                parts += [self.language.comma, phrase, self.language.comma]
            else:
                parts += [phrase, *between]
        return _single_commas(parts, self.language.comma)

    def told(self, meaning: Meaning) -> list[str]:
        """Image and finding as phrases, joined, and then what is absent."""
        image = self.image(meaning)
        if meaning.finding == "normal":
            body = self.joined(
                image, [self.normal(meaning)] if self.chance(0.5) or not image else []
            )
            if self.language.normal.before and len(body) == len(image) and image:
                body = [self.one(self.language.normal.before), *image]
        elif meaning.finding:
            body = self.joined(image, self.finding(meaning))
        else:
            body = image
        for denial in self.denials(meaning):
            mark = self.language.stop if self.chance(0.25) else self.language.comma
            first = denial.split()[0]
            plain = body and first in ("without", "不") and self.chance(0.6)
            body = [*body, *([mark] if body and not plain else []), denial]
        return body

    def joined(self, image: list[str], finding: list[str]) -> list[str]:
        if not image or not finding:
            return [*image, *finding]
        way = self.one(("way: shown", "way: seen on", "way: colon", "way: stop"))
        if way == "way: shown":
            return [*image, self.one(self.language.shown), *finding]
        if way == "way: seen on":
            return [*finding, *self.one(self.language.seen_on).replace("，", "， ").split(), *image]
        mark = self.language.colon if way == "way: colon" else self.language.stop
        return [*image, mark, *finding]

    def image(self, meaning: Meaning) -> list[str]:
        names = [name for name in _OF_IMAGE if getattr(meaning, name)]
        if not names and not meaning.modality:
            return []
        before, after = self.around([self.forms(meaning, name) for name in names])
        nouns = self.language.images[meaning.modality]
        noun = [self.one(nouns)] if meaning.modality or after or self.chance(0.7) else []
        return [*before, *noun, *after]

    def finding(self, meaning: Meaning) -> list[str]:
        forms = [self.forms_of_finding(meaning, name) for name in self.described(meaning)]
        before, after = self.around(forms)
        noun = self.one(self.language.findings[meaning.finding])
        if not self.language.spaced:
            after = [word for phrase in after for word in (self.language.comma, phrase)]
        words = [*before, noun, *after]
        if self.language.spaced and meaning.finding not in _LUNGS and self.chance(0.5):
            words = ["an" if words[0][0].lower() in "aeiou" else "a", *words]
        return words

    def described(self, meaning: Meaning) -> list[str]:
        return [name for name in OF_FINDING if getattr(meaning, name)]

    def around(self, forms: list[Forms]) -> tuple[list[str], list[str]]:
        """Each said once, before the noun or after it."""
        before, after = [], []
        for form in forms:
            if form.after and self.chance(0.4):
                after.append(self.one(form.after))
            else:
                before.append(self.one(form.before))
        return self.shuffled(before), self.shuffled(after)

    def forms(self, meaning: Meaning, name: str) -> Forms:
        return self.language.forms_of(
            name, getattr(meaning, name), in_lungs=meaning.finding in _LUNGS
        )

    def forms_of_finding(self, meaning: Meaning, name: str) -> Forms:
        if name != "size" or not meaning.size_mm:
            return self.forms(meaning, name)
        extent = self.extent(meaning.size_mm)
        sizes = self.language.sizes
        # Chosen here, so that the same number is not a phrase of its own.
        return Forms(
            before=(self.one(sizes.before).format(extent),),
            after=(self.one(sizes.after).format(extent),),
        )

    def form(self, meaning: Meaning, name: str, *, either: bool) -> str:
        return self.any_of(self.forms(meaning, name), either=either)

    def of_finding(self, meaning: Meaning, name: str, *, either: bool) -> str:
        return self.any_of(self.forms_of_finding(meaning, name), either=either)

    def any_of(self, forms: Forms, *, either: bool) -> str:
        return self.one((*forms.before, *forms.after) if either else forms.before)

    def extent(self, size_mm: int) -> str:
        """The number with its unit."""
        millimeters, centimeters = self.language.units
        if size_mm >= 10 and self.chance(0.35):
            return f"{size_mm / 10:g} {self.one(centimeters)}"
        return f"{size_mm} {self.one(millimeters)}"

    def normal(self, meaning: Meaning) -> str:
        lungs = meaning.modality != "brain MR" and self.chance(0.3)
        return self.one(self.language.clear_lungs if lungs else self.language.normal.after)

    def denials(self, meaning: Meaning) -> list[str]:
        """What is absent, each alone or two at once."""
        names = self.shuffled([self.one(self.language.findings[name]) for name in meaning.absent])
        if len(names) == 2 and (self.brief or self.chance(0.5)):
            if self.chance(0.35):
                before, between = self.language.joint_denials[
                    int(self.rng.integers(len(self.language.joint_denials)))
                ]
                return [f"{before} {names[0]} {between} {names[1]}"]
            denied = self.one(self.language.denials)
            return [f"{denied} {names[0]} {self.one(self.language.ors)} {names[1]}"]
        return [self.denial(name) for name in names]

    def denial(self, name: str) -> str:
        if self.chance(0.25):
            return f"{name} {self.one(self.language.denied)}"
        return f"{self.one(self.language.denials)} {name}"

    def written(self, words: list[str]) -> str:
        """Words and punctuation as one writes them."""
        if self.language.spaced:
            text = re.sub(r" ([,.:])", r"\1", " ".join(words))
            case = self.rng.random()
            if case < 0.1:
                return text.upper()
            return text.lower() if case < 0.5 else text[:1].upper() + text[1:]
        text = re.sub(r"(?<=[a-z0-9]) (?=[a-z0-9])", "\0", " ".join(words), flags=re.IGNORECASE)
        text = text.replace(" ", "" if self.rng.random() < 0.85 else " ").replace("\0", " ")
        half = text.translate(str.maketrans("，。：", ",.:"))
        return half if self.rng.random() < 0.2 else text


def _single_commas(parts: list[str], comma: str) -> list[str]:
    kept: list[str] = []
    for part in parts:
        if part != comma or (kept and kept[-1] != comma):
            kept.append(part)
    return kept
