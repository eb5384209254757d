from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.image.ct_tissue import TISSUES, body_mask, tissue_masks

SPACING_MM = (1.0, 1.0)
# Row and column of the centre, radius and value of each planted disc.
PLANTED = {
    "lung": (50, 50, 14, -850.0),
    "fat": (50, 110, 14, -100.0),
    "liver": (80, 80, 12, 105.0),
    "blood": (110, 50, 12, 180.0),
    "bone": (110, 110, 12, 700.0),
}


def disc(row: float, column: float, radius: float, size: int = 160) -> NDArray:
    rows, columns = np.indices((size, size))
    return np.hypot(rows - row, columns - column) < radius


def trunk() -> NDArray:
    image = np.where(disc(80, 80, 65), 45.0, -1000.0)
    for row, column, radius, value in PLANTED.values():
        image[disc(row, column, radius)] = value
    return image


def test_body_is_the_trunk_with_its_lungs() -> None:
    found = body_mask(trunk())
    wanted = disc(80, 80, 65)
    assert found[disc(50, 50, 14)].all()
    assert np.count_nonzero(found != wanted) < 0.01 * wanted.sum()


def test_body_leaves_the_couch_and_cables_out() -> None:
    image = trunk()
    image[152:155, 10:150] = 100.0  # a thin couch, apart
    image[145:152, 79:81] = 100.0  # a cable that joins the two
    found = body_mask(image)
    assert not found[148:].any()
    assert found[80, 80]


def test_body_leaves_a_thick_couch_apart_out() -> None:
    image = trunk()
    image[149:158, 5:155] = 0.0
    assert not body_mask(image)[148:].any()


def test_body_ends_at_the_scanner_circle() -> None:
    valid = disc(80, 80, 40)
    assert not body_mask(trunk(), valid=valid)[~valid].any()


@pytest.mark.parametrize("value", [-1000.0, -3024.0])
def test_an_empty_image_holds_no_body_and_no_tissue(value: float) -> None:
    empty = np.full((40, 50), value)
    assert not body_mask(empty).any()
    masks = tissue_masks(empty, spacing_mm=SPACING_MM)
    assert masks.keys() == TISSUES.keys()
    assert not any(mask.any() for mask in masks.values())


@pytest.mark.parametrize("tissue", PLANTED)
def test_planted_discs_are_found(tissue: str) -> None:
    row, column, radius, _ = PLANTED[tissue]
    masks = tissue_masks(trunk(), spacing_mm=SPACING_MM)
    assert masks[tissue][disc(row, column, radius - 5)].all()
    near = disc(row, column, radius + 2)
    for name, (other_row, other_column, other_radius, _) in PLANTED.items():
        if name != tissue:
            assert not masks[name][near & disc(row, column, radius - 5)].any()
            assert not masks[tissue][disc(other_row, other_column, other_radius - 5)].any()


def test_noise_does_not_scatter_a_tissue() -> None:
    noisy = trunk() + np.random.default_rng(0).normal(0, 15, (160, 160))
    masks = tissue_masks(noisy, spacing_mm=SPACING_MM)
    assert masks["liver"][disc(80, 80, 7)].mean() > 0.7
    # of pixels sorted one by one, 46 % would do
    raw = (noisy >= 80) & (noisy < 130)
    assert raw[disc(80, 80, 7)].mean() < masks["muscle"][disc(80, 25, 6)].mean()


def test_tissues_exclude_each_other() -> None:
    noisy = trunk() + np.random.default_rng(0).normal(0, 40, (160, 160))
    masks = tissue_masks(noisy, spacing_mm=SPACING_MM)
    assert np.sum(list(masks.values()), axis=0).max() == 1


def test_a_given_body_is_used() -> None:
    nothing = np.zeros((160, 160), bool)
    masks = tissue_masks(trunk(), spacing_mm=SPACING_MM, body=nothing)
    assert not any(mask.any() for mask in masks.values())
