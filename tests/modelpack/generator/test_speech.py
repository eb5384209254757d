import pytest

from isocenter.core.errors import InputRefused
from isocenter.datasets.sentences.meaning import FAMILIES, sayable
from isocenter.modelpack.generator.speech import check_speech
from isocenter.modelpack.generator.wish import Wish


class Reader:
    """Understands what it is told to."""

    def __init__(self, **said: str) -> None:
        self._said = said

    def said(self, text: str) -> dict[str, str]:
        return {name.replace("_", " "): value for name, value in self._said.items()}


def check(reader: object, *, family: str = "brain_t1c", **categories: str) -> None:
    wish = Wish(categories=categories, text="words")
    check_speech(reader, wish, family=family, accepted=sayable(family))


def test_what_fits_passes() -> None:
    check(Reader(modality="brain MR", finding="glioma", side="left", tens_of_mm="3"))
    check(Reader(finding="glioma"), **{"class": "glioma", "plane": "axial"})
    check(Reader(finding="tumor"), **{"class": "glioma"})
    check(Reader(no_meningioma="yes"), **{"class": "glioma"})
    check(Reader(finding="normal"), family="chest_radiograph")


@pytest.mark.parametrize(
    ("family", "reader", "words"),
    [
        ("chest_radiograph", Reader(finding="glioma"), "glioma.*never told"),
        ("chest_radiograph", Reader(finding="pneumonia", side="left"), "cannot be told side"),
        ("brain_t1c", Reader(modality="chest CT"), "modality may be brain MR"),
        ("brain_t1c", Reader(contrast="FLAIR"), "contrast may be T1c"),
        ("brain_t1c", Reader(finding="glioma", signal="hyperintense"), "cannot be told signal"),
        ("chest_ct", Reader(no_pneumonia="yes"), "no pneumonia"),
    ],
)
def test_what_the_images_were_never_described_by_is_refused(
    family: str, reader: Reader, words: str
) -> None:
    with pytest.raises(InputRefused, match=words):
        check(reader, family=family)


@pytest.mark.parametrize(
    ("reader", "categories"),
    [
        (Reader(finding="meningioma"), {"class": "glioma"}),
        (Reader(plane="axial"), {"plane": "coronal"}),
        (Reader(no_glioma="yes"), {"class": "glioma"}),
    ],
)
def test_a_text_that_contradicts_the_rest_is_refused(
    reader: Reader, categories: dict[str, str]
) -> None:
    with pytest.raises(InputRefused, match="the text says"):
        check(reader, **categories)


def test_an_encoder_that_cannot_be_asked_is_not() -> None:
    check(object(), **{"class": "glioma"})
    check_speech(Reader(finding="glioma"), Wish(text="words"), family="own", accepted={})


def test_every_family_says_its_modality() -> None:
    for family in FAMILIES:
        assert len(sayable(family)["modality"]) == 1
    with pytest.raises(ValueError, match="family is one of"):
        sayable("hearts")
