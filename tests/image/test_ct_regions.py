"""Regions are named by what is measured and where: lung is a large space in the body."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.image.ct_regions import REGION_KINDS, region_masks

SPACING_MM = (1.0, 1.0)


def disc(row: float, column: float, radius: float) -> NDArray:
    rows, columns = np.indices((200, 260))
    return np.hypot(rows - row, columns - column) < radius


@pytest.fixture
def trunk() -> NDArray:
    """Fat around muscle, air outside."""
    rows, columns = np.indices((200, 260))
    out = np.hypot((rows - 100) / 90, (columns - 130) / 120)
    image = np.full((200, 260), -1000.0)
    image[out < 1] = -100
    image[out < 0.75] = 45
    return image


def test_fat_and_soft_tissue_are_found_away_from_their_borders(trunk: NDArray) -> None:
    masks = region_masks(trunk, spacing_mm=SPACING_MM)
    assert [kind.key for kind in REGION_KINDS] == list(masks)
    assert (trunk[masks["fat"]] == -100).all()
    assert (trunk[masks["soft_tissue_10_80_hu"]] == 45).all()
    assert masks["fat"].sum() > 500
    assert masks["soft_tissue_10_80_hu"].sum() > 10_000


def test_lung_is_a_large_space_of_lung_values(trunk: NDArray) -> None:
    lung, pocket, gas = disc(90, 80, 38), disc(80, 180, 12), disc(130, 170, 30)
    trunk[lung | pocket] = -850
    trunk[gas] = -1000
    found = region_masks(trunk, spacing_mm=SPACING_MM)["lung"]
    assert found[lung].mean() > 0.7
    assert not found[pocket].any()
    assert not found[gas].any()


def test_the_border_between_lung_and_muscle_is_neither_fat_nor_soft_tissue(trunk: NDArray) -> None:
    trunk[disc(90, 100, 40)] = -850
    masks = region_masks(trunk, spacing_mm=SPACING_MM)
    border = disc(90, 100, 46) & ~disc(90, 100, 34)
    assert not masks["fat"][border].any()


def test_marrow_is_not_taken_for_soft_tissue_with_contrast(trunk: NDArray) -> None:
    organ = disc(80, 190, 20)
    trunk[organ] = 160
    trunk[disc(130, 110, 20)] = 600
    trunk[disc(130, 110, 15)] = 180
    found = region_masks(trunk, spacing_mm=SPACING_MM)["soft_tissue_130_250_hu"]
    assert found[organ].mean() > 0.4
    assert not found[disc(130, 110, 22)].any()


def test_an_empty_slice_and_a_single_row_hold_no_region() -> None:
    for shape in ((40, 40), (1, 50)):
        masks = region_masks(np.full(shape, -1000.0), spacing_mm=SPACING_MM)
        assert not any(mask.any() for mask in masks.values())


def test_no_kind_is_named_after_an_organ_that_values_cannot_tell() -> None:
    names = " ".join(kind.name.lower() + kind.key for kind in REGION_KINDS)
    assert not [word for word in ("liver", "blood", "muscle", "spleen") if word in names]
