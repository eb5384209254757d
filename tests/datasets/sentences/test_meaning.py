from __future__ import annotations

import numpy as np
import pytest

from isocenter.datasets.sentences.meaning import (
    FAMILIES,
    SAYS,
    TUMORS,
    Meaning,
    changed,
    drawn_meaning,
    meaning_of,
    part_of,
    place_of,
)


@pytest.mark.parametrize(
    ("plane", "center", "place"),
    [
        ("axial", (0.2, 0.2), {"side": "right", "depth": "anterior"}),
        ("axial", (0.8, 0.8), {"side": "left", "depth": "posterior"}),
        ("coronal", (0.2, 0.2), {"side": "right", "height": "upper"}),
        ("coronal", (0.5, 0.8), {"side": "midline", "height": "lower"}),
        ("sagittal", (0.2, 0.8), {"depth": "anterior", "height": "lower"}),
        ("sagittal", (0.8, 0.5), {"depth": "posterior", "height": ""}),
        ("", (0.2, 0.2), {}),
    ],
)
def test_sides_are_those_of_the_patient(
    plane: str, center: tuple[float, float], place: dict[str, str]
) -> None:
    assert place_of((*center, 0.1, 0.1), plane) == place


def test_all_is_said_of_a_slice_with_a_tumor() -> None:
    told = {"class": "glioma", "plane": "axial"}
    meaning = meaning_of(
        "brain_t1c",
        told,
        box=(0.3, 0.7, 0.2, 0.1),
        width_mm=250,
        height_mm=250,
        signal="hypointense",
    )
    assert meaning == Meaning(
        modality="brain MR",
        contrast="T1c",
        plane="axial",
        finding="glioma",
        side="right",
        depth="posterior",
        size="large",
        size_mm=50,
        signal="hypointense",
        absent=("meningioma", "pituitary tumor"),
    )


def test_an_extent_that_is_not_known_is_not_said() -> None:
    told = {"class": "meningioma", "plane": "coronal"}
    meaning = meaning_of("brain_t1c", told, box=(0.5, 0.5, 0.2, 0.1))
    assert (meaning.size, meaning.size_mm, meaning.side) == ("", 0, "midline")


def test_a_label_rules_out_only_what_it_excludes() -> None:
    def absent(kind: str) -> tuple[str, ...]:
        return meaning_of("chest_radiograph", {"class": kind}).absent

    assert absent("pneumonia") == ()
    assert absent("viral pneumonia") == ("bacterial pneumonia",)
    assert "pneumonia" in absent("normal")
    assert meaning_of("brain_labels", {"contrast": "T2"}).absent == ("tumor",)
    assert meaning_of("chest_ct", {"level": "mid"}).said() == {
        "modality": "chest CT",
        "level": "middle",
    }


@pytest.mark.parametrize(
    "told",
    [
        {"plane": "oblique"},
        {"size": "small"},
        {"finding": "normal", "side": "left"},
        {"finding": "glioma", "absent": ("tumor",)},
        {"finding": "glioma", "size": "small", "size_mm": 80},
        {"absent": ("pneumonia", "glioma")},
        {"finding": "glioma", "size": "large", "size_mm": 150},
    ],
)
def test_contradictions_are_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Meaning(**told)  # type: ignore[arg-type]


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="chest_ct"):
        meaning_of("knee")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_says_what_it_is_listed_to_say(family: str) -> None:
    told = {"class": "glioma" if family == "brain_t1c" else "pneumonia"}
    told |= {"plane": "axial", "contrast": "T2", "population": "child", "level": "apex"}
    told = told if family in ("brain_t1c", "chest_radiograph") else told | {"class": ""}
    assert set(meaning_of(family, told).said()) <= set(SAYS[family])


def test_a_part_says_nothing_that_is_not_true() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        whole = drawn_meaning(rng)
        part = part_of(whole, rng)
        for name, value in part.said().items():
            if name == "finding":
                kinds = {whole.finding, "tumor" if whole.finding in TUMORS else "pneumonia"}
                assert value in kinds
            elif name == "absent":
                assert set(part.absent) <= set(whole.absent)
            else:
                assert value == getattr(whole, name)


def test_what_was_changed_means_something_else() -> None:
    rng = np.random.default_rng(1)
    for _ in range(1000):
        meaning = drawn_meaning(rng)
        assert changed(meaning, rng) != meaning
