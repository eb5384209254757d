from __future__ import annotations

import re

import numpy as np
import pytest

from isocenter.datasets.sentences.chinese import CHINESE
from isocenter.datasets.sentences.english import ENGLISH
from isocenter.datasets.sentences.grammar import (
    LANGUAGES,
    MOST_WORDS,
    num_words,
    say,
    sentence,
    words_known,
)
from isocenter.datasets.sentences.meaning import VALUES, Meaning, changed, drawn_meaning
from isocenter.datasets.sentences.phrases import Language

GLIOMA = Meaning(plane="axial", finding="glioma", side="left", absent=("meningioma",))
FULL = Meaning(
    modality="brain MR",
    contrast="T1c",
    plane="coronal",
    population="adult",
    finding="pituitary tumor",
    side="midline",
    height="lower",
    depth="anterior",
    size="medium",
    size_mm=37,
    signal="hyperintense",
    absent=("glioma", "meningioma"),
)


def plain(text: str) -> str:
    marks = re.sub("[，。：:.-](?![0-9])", " ", text.lower())
    return re.sub(r"\s+", "" if re.search(r"[\u4e00-\u9fff]", text) else " ", marks).strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_seed_says_the_same(language: str) -> None:
    first, second = (sentence(GLIOMA, np.random.default_rng(3), language) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_many_ways_to_say_one_thing(language: str) -> None:
    rng = np.random.default_rng(0)
    assert len({sentence(GLIOMA, rng, language) for _ in range(200)}) > 180


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_means_two_things(language: str) -> None:
    rng = np.random.default_rng(1)
    meant: dict[str, Meaning] = {}
    for _ in range(1000):
        meaning = drawn_meaning(rng)
        for each in (meaning, changed(meaning, rng)):
            words = plain(sentence(each, rng, language))
            assert meant.setdefault(words, each) == each, words


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_no_phrase_stands_for_two_values(language: Language) -> None:
    for attribute, values in VALUES.items():
        if attribute not in language.forms:
            continue
        phrases = [
            phrase
            for value in values
            for phrase in {
                *language.forms_of(attribute, value).before,
                *language.forms_of(attribute, value).after,
            }
        ]
        assert len(set(phrases)) == len(phrases), attribute
    names = [name for each in language.findings.values() for name in each]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_meant_stands_in_the_sentence(language: str) -> None:
    rng = np.random.default_rng(2)
    tables = LANGUAGES[language]
    for _ in range(100):
        text = plain(sentence(FULL, rng, language))
        for name in ("contrast", "plane", "population", "side", "height", "depth", "signal"):
            forms = tables.forms_of(name, getattr(FULL, name))
            said = [
                plain(phrase.replace(" ", "") if language == "zh" else phrase)
                for phrase in (*forms.before, *forms.after)
            ]
            assert any(phrase in text for phrase in said), (name, text)
        assert re.search(r"37|3\.7", text)


def test_what_is_absent_is_denied() -> None:
    rng = np.random.default_rng(4)
    cues = {name: [*LANGUAGES[name].denials, *LANGUAGES[name].denied] for name in LANGUAGES}
    cues["zh"] = [cue.replace(" ", "") for cue in cues["zh"]]
    for language in LANGUAGES:
        for _ in range(100):
            text = (
                sentence(Meaning(absent=("pneumonia",)), rng, language).lower().replace("  ", " ")
            )
            text = text.replace(" ", "") if language == "zh" else text
            assert any(cue in text for cue in cues[language]), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_too_long(language: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        assert num_words(re.findall(r"[^\s,.，。：:]+|[,.，。：:]", sentence(FULL, rng, "en"))) <= (
            MOST_WORDS + 1
        )


def test_digits_count_one_by_one() -> None:
    assert (
        num_words(["a", "T1-weighted", "3.5", "cm", ",", "30", "mm"]) == 1 + 2 + 3 + 1 + 1 + 2 + 1
    )


def test_nothing_is_said_of_nothing() -> None:
    assert sentence(Meaning(), np.random.default_rng(0)) == ""


def test_all_words_are_listed() -> None:
    rng = np.random.default_rng(6)
    known = {*words_known("en"), "child's"}
    for _ in range(500):
        text = sentence(drawn_meaning(rng), rng, "en").lower()
        for word in re.findall(r"[a-z']+[0-9]*[a-z]*", re.sub(r"[0-9.]+ ?(mm|cm)", " ", text)):
            assert word in known, text


def test_a_tenth_or_so_of_the_sentences_is_held_out() -> None:
    rng = np.random.default_rng(7)
    held = [say(drawn_meaning(rng), rng, "en").held_out for _ in range(400)]
    assert 0.05 < np.mean(held) < 0.3


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="en, zh"):
        sentence(GLIOMA, np.random.default_rng(0), "fr")
