import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from isocenter.core.errors import InputRefused, ModelRefused, SettingRefused
from isocenter.modelpack.generator.family import Family, Number
from isocenter.modelpack.generator.wish import Wish

HEADS = Family(
    name="heads",
    title="Test heads",
    modality="MR",
    body_part="BRAIN",
    rows=32,
    columns=24,
    pixel_mm=1.5,
    unit="",
    low=0.0,
    high=255.0,
    window=(127.5, 255.0),
    categories={
        "class": ("glioma", "meningioma", "pituitary tumor"),
        "plane": ("axial", "coronal"),
    },
    numbers=(Number(name="age", unit="years", least=0, most=100, meaning="Age of the patient."),),
    box="tumor",
    guide=("skull", "brain"),
    text=True,
)

CHESTS = Family(
    name="chests",
    title="Test chests",
    modality="CT",
    body_part="CHEST",
    rows=16,
    columns=16,
    pixel_mm=None,
    unit="HU",
    low=-1024.0,
    high=1024.0,
    window=(-600.0, 1500.0),
    categories={},
    numbers=(),
    box="",
    guide=(),
    text=False,
)

LABELS = np.ones((32, 24), int)


@pytest.mark.parametrize("family", [HEADS, CHESTS])
def test_a_family_survives_json(family: Family) -> None:
    assert Family.from_json(json.loads(json.dumps(family.described()))) == family


def test_a_family_accepts_what_it_has() -> None:
    HEADS.check(
        Wish(
            categories={"class": "pituitary tumor", "plane": "coronal"},
            numbers={"age": 100},
            box=(0.5, 0.5, 0.1, 0.1),
            mask=LABELS * 2,
            text="a mass",
        )
    )
    CHESTS.check(Wish())
    assert HEADS.conditions == ("class", "plane", "age")


@pytest.mark.parametrize(
    ("family", "wish", "words"),
    [
        (HEADS, {"categories": {"class": "Gliom"}}, "did you mean glioma"),
        (HEADS, {"categories": {"class": "GLIOMA"}}, "did you mean glioma"),
        (HEADS, {"categories": {"class": "zzz"}}, "Accepted: glioma, meningioma, pituitary tumor"),
        (HEADS, {"categories": {"plan": "axial"}}, "did you mean plane"),
        (HEADS, {"numbers": {"ages": 3}}, "did you mean age"),
        (HEADS, {"numbers": {"age": 101}}, "from 0 to 100 years, got 101"),
        (HEADS, {"mask": LABELS.T}, "24 rows and 32 columns; heads takes 32 x 24"),
        (HEADS, {"mask": LABELS * 0}, "empty.*1 skull, 2 brain"),
        (HEADS, {"mask": LABELS * 7}, "does not know: 7. Accepted: 0 outside, 1 skull, 2 brain"),
        (CHESTS, {"categories": {"class": "glioma"}}, "chests has no condition; leave it out"),
        (CHESTS, {"numbers": {"age": 3}}, "chests has no number that can be set"),
        (CHESTS, {"mask": LABELS}, "takes no mask"),
        (CHESTS, {"text": "a mass"}, "takes no text"),
        (CHESTS, {"box": (0.5, 0.5, 0.1, 0.1)}, "takes no box"),
        (
            replace(HEADS, box=""),
            {"box": (0.5, 0.5, 0.1, 0.1)},
            "It takes class, plane, age, a mas",
        ),
    ],
)
def test_what_a_family_has_not_is_refused(family: Family, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        family.check(Wish(**wish))


def test_refusals_of_names_are_refusals_of_settings() -> None:
    with pytest.raises(SettingRefused):
        HEADS.check(Wish(categories={"class": "gliom"}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Brain T1"}, "small letters"),
        ({"title": " "}, "title"),
        ({"modality": "mr"}, "DICOM code"),
        ({"body_part": "A" * 17}, "DICOM code"),
        ({"rows": 4}, "8 to 4096"),
        ({"low": 3.0, "high": 3.0}, "rise"),
        ({"high": float("nan")}, "rise"),
        ({"pixel_mm": 0.0}, "above 0 or None"),
        ({"window": (0.0, 0.0)}, "width above 0"),
        ({"window": (0.0, float("inf"))}, "width above 0"),
        ({"categories": {"class": ()}}, "no names"),
        ({"categories": {"class": ("a", "A")}}, "names that differ"),
        ({"categories": {"age": ("a",)}}, "name of its own"),
        ({"categories": {"text": ("a",)}}, "name of its own"),
        ({"guide": ("a", " b")}, "names that differ"),
    ],
)
def test_a_family_that_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(HEADS, **change)
    with pytest.raises(ModelRefused):
        Family.from_json(HEADS.described() | change)


@pytest.mark.parametrize(("least", "most"), [(3, 3), (0, float("inf"))])
def test_a_number_has_finite_ends_that_rise(least: float, most: float) -> None:
    with pytest.raises(ValueError, match="finite ends that rise"):
        Number(name="age", unit="", least=least, most=most, meaning="")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "values by name"),
        ({"titel": "x"}, "did you mean title"),
        ({"rows": "32"}, "another type"),
        ({"rows": True}, "another type"),
        ({"text": 1}, "another type"),
        ({"window": [1.0]}, "width above 0"),
        ({"window": ["a", 1.0]}, "another type"),
        ({"numbers": [3]}, "values by name"),
        ({"numbers": [{"name": "age"}]}, "does not say unit"),
        ({"categories": {"class": "glioma"}}, "are names"),
        ({"guide": [1]}, "are names"),
    ],
)
def test_json_of_another_shape_is_refused(said: Any, words: str) -> None:
    whole = {**HEADS.described(), **said} if isinstance(said, dict) else said
    with pytest.raises(ModelRefused, match=words):
        Family.from_json(whole)


def test_every_part_must_be_said() -> None:
    for part in fields(Family):
        if part.name == "reference":
            continue  # left out where there is none, as in families that were written before it
        said = HEADS.described()
        del said[part.name]
        with pytest.raises(ModelRefused, match=f"does not say {part.name}"):
            Family.from_json(said)
