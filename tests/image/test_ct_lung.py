from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.image.ct_lung import lung_mask

SPACING_MM = (3.0, 3.0)
_DOWN, _ACROSS = np.indices((96, 128), dtype=float) * 3.0


def disc(row_mm: float, column_mm: float, down_mm: float, across_mm: float) -> NDArray:
    inside: NDArray = ((_DOWN - row_mm) / down_mm) ** 2 + (
        (_ACROSS - column_mm) / across_mm
    ) ** 2 < 1
    return inside


LEFT, RIGHT = disc(144, 130, 80, 50), disc(144, 250, 80, 50)
TRACHEA = disc(110, 190, 9, 9)


def chest() -> NDArray:
    image = np.full(_DOWN.shape, -1000.0)
    image[disc(144, 190, 120, 160)] = 40
    image[LEFT | RIGHT] = -850
    image[TRACHEA] = -1000
    return image


def share(found: NDArray, of: NDArray) -> float:
    return float((found & of).sum() / of.sum())


def test_both_lungs_are_found_and_the_trachea_is_not() -> None:
    found = lung_mask(chest(), spacing_mm=SPACING_MM)
    assert share(found, LEFT | RIGHT) > 0.97
    assert (found & ~(LEFT | RIGHT)).sum() < 0.02 * found.sum()
    assert not (found & TRACHEA).any()


def test_vessels_and_nodules_are_in() -> None:
    image = chest()
    inner, at_wall = disc(150, 130, 8, 8), disc(144, 87, 6, 6) & LEFT
    image[inner | at_wall] = 40
    found = lung_mask(image, spacing_mm=SPACING_MM)
    assert share(found, inner) == 1
    assert share(found, at_wall) > 0.6


def test_the_dome_of_the_liver_is_not_lung() -> None:
    image = chest()
    dome = disc(150, 130, 34, 28)
    image[dome] = 60
    assert share(lung_mask(image, spacing_mm=SPACING_MM), dome) < 0.2


def test_gas_in_the_stomach_is_not_lung() -> None:
    image = np.full(_DOWN.shape, -1000.0)
    image[disc(144, 190, 120, 160)] = 40
    image[disc(120, 220, 30, 40)] = -1000
    assert not lung_mask(image, spacing_mm=SPACING_MM).any()


def test_there_is_no_lung_in_air_or_in_an_even_body() -> None:
    assert not lung_mask(np.full((32, 32), -1000.0), spacing_mm=SPACING_MM).any()
    image = np.full(_DOWN.shape, -1000.0)
    image[disc(144, 190, 120, 160)] = 40
    assert not lung_mask(image, spacing_mm=SPACING_MM).any()
