from __future__ import annotations

from pathlib import Path

import pytest

from isocenter.core.errors import ModelRefused
from isocenter.modelpack.text.vocabulary import SPECIAL, Vocabulary

WORDS = Vocabulary.of(
    [
        "glioma",
        "t1",
        "t2",
        "weighted",
        "mm",
        "mri",
        "child's",
        "左侧",
        "左",
        "胶质瘤",
        "脑",
        "脑膜瘤",
        "未见",
    ]
)


def cut(text: str) -> list[str]:
    return [word.text for word in WORDS.split(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Glioma, T1-weighted.", ["glioma", ",", "t1", "weighted", "."]),
        ("30mm T2MRI", ["30", "mm", "t2", "mri"]),
        ("左侧胶质瘤，T1", ["左侧", "胶质瘤", ",", "t1"]),
        ("左脑T1MRI", ["左", "脑", "t1", "mri"]),
        ("Ｇｌｉｏｍａ", ["glioma"]),
        ("Child’s", ["child's"]),
        ("", []),
    ],
)
def test_texts_are_cut_into_known_words(text: str, words: list[str]) -> None:
    assert cut(text) == words
    assert not WORDS.unknown_words(text)


def test_numbers_are_read_digit_by_digit() -> None:
    (number,) = WORDS.split("2.5")
    assert [WORDS.words[each] for each in number.ids] == ["2", ".", "5"]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("glioma astrocytoma glioma astrocytoma", ["astrocytoma"]),
        ("未见脑积水", ["积水"]),
        ("胶质", ["胶质"]),
        ("gliomas", ["gliomas"]),
        ("glioma 🙂", ["🙂"]),
        ("t12", ["t12"]),
    ],
)
def test_unknown_words_are_named_once(text: str, unknown: list[str]) -> None:
    assert WORDS.unknown_words(text) == unknown


def test_near_words_are_hinted() -> None:
    assert WORDS.near("gliomas") == ["glioma"]
    assert WORDS.near("脑瘤")[0] in ("脑膜瘤", "脑")
    assert WORDS.near("zzzz") == []


def test_a_vocabulary_is_read_back(tmp_path: Path) -> None:
    WORDS.write(tmp_path / "vocabulary.json")
    assert Vocabulary.read(tmp_path / "vocabulary.json").words == WORDS.words


def test_what_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.json").write_text('{"words": ["glioma"]}')
    with pytest.raises(ModelRefused, match="begins with"):
        Vocabulary.read(tmp_path / "vocabulary.json")
    with pytest.raises(ModelRefused, match="no vocabulary"):
        Vocabulary.read(tmp_path / "other.json")
    with pytest.raises(ValueError, match="each word once"):
        Vocabulary([*WORDS.words, "glioma"])
    assert WORDS.words[: len(SPECIAL)] == SPECIAL
