import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, SettingRefused
from isocenter.modelpack.generator.wish import Wish, inside_box

MASK = np.array([[0, 1], [2, 1]])


def test_a_wish_survives_json() -> None:
    wish = Wish(
        categories={"plane": "axial", "class": "glioma"},
        numbers={"age": 60},
        box=(0.6, 0.4, 0.15, 0.1),
        mask=MASK,
        text="a  large\nmass",
    )
    said = json.loads(json.dumps(wish.described()))
    again = Wish.from_json(said, mask=MASK)
    assert again == wish
    assert hash(again) == hash(wish)
    assert again.text == "a large mass"
    assert Wish.from_json({}) == Wish()


def test_another_mask_is_another_wish() -> None:
    wish = Wish(mask=MASK)
    assert wish != Wish(mask=MASK.T)
    assert wish != Wish(mask=MASK.reshape(1, 4))
    with pytest.raises(InputRefused, match="not the one"):
        Wish.from_json(wish.described(), mask=MASK.T)
    with pytest.raises(InputRefused, match="not the one"):
        Wish.from_json(wish.described())


def test_a_wish_cannot_be_changed_by_its_parts() -> None:
    categories = {"class": "glioma"}
    labels = MASK.copy()
    wish = Wish(categories=categories, mask=labels)
    categories["class"] = "meningioma"
    labels[:] = 0
    assert wish.categories == {"class": "glioma"}
    assert wish.mask is not None
    assert wish.mask.any()
    with pytest.raises(ValueError, match="read-only"):
        wish.mask[0, 0] = 1


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0.5, 0.5, 0.2), "four numbers"),
        ("0.5", "four numbers"),
        (None, ""),
        ((0.5, 0.5, 0.2, "a"), "finite number"),
        ((0.5, 0.5, 0.2, float("nan")), "finite number"),
        ((0.5, 0.5, -0.2, 0.2), "two corners"),
        ((0.5, 0.5, 0.2, 0.0), "two corners"),
        ((0.95, 0.5, 0.2, 0.2), "outside the image: along x"),
        ((0.5, 0.05, 0.2, 0.2), "outside the image: along y"),
        ((120, 80, 30, 30), "fractions of the image, not pixels"),
    ],
)
def test_a_box_lies_in_the_image(box: Any, words: str) -> None:
    if not words:
        assert Wish(box=box).box is None
        return
    with pytest.raises(SettingRefused, match=words):
        Wish(box=box)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((2, 2, 2), int), "flat image"),
        (np.zeros((0, 2), int), "flat image"),
        (np.zeros((2, 2)), "whole numbers"),
        (np.full((2, 2), -1), "from 0 to 255"),
        (np.full((2, 2), 256), "from 0 to 255"),
    ],
)
def test_a_mask_holds_labels(mask: NDArray, words: str) -> None:
    with pytest.raises(InputRefused, match=words):
        Wish(mask=mask)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"text": "x" * 1001}, "at most 1000"),
        ({"text": "a\x00b"}, "plain words"),
        ({"text": 3}, "takes words"),
        ({"numbers": {"age": float("inf")}}, "finite"),
        ({"numbers": {"age": "old"}}, "finite"),
        ({"categories": {"class": ""}}, "names as text"),
        ({"categories": {"class": 3}}, "names as text"),
    ],
)
def test_other_kinds_of_values_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingRefused, match=words):
        Wish(**given)


def test_an_unknown_part_names_the_nearest() -> None:
    with pytest.raises(SettingRefused, match="did you mean categories"):
        Wish.from_json({"categorys": {}})
    with pytest.raises(SettingRefused, match="values by name"):
        Wish.from_json({"numbers": 3})


def test_inside_a_box_are_the_pixels_whose_middles_lie_in_it() -> None:
    inside = inside_box((0.5, 0.25, 0.5, 0.5), 4, 8)
    assert inside.sum() == 2 * 4
    assert inside[:2, 2:6].all()
    assert inside_box((1.0 - 1e-9, 0.5, 1e-9, 1e-9), 4, 8).sum() == 1
    assert inside_box((0.5, 0.5, 1.0, 1.0), 5, 7).all()
