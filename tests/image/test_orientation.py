from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from isocenter.core.volume import Geometry, Vector, Volume
from isocenter.image.orientation import transverse

SHAPE = (3, 4, 5)
AXES = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def vector(numbers: np.ndarray) -> Vector:
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def volume(directions: np.ndarray) -> Volume:
    array = np.arange(60.0, dtype=np.float32).reshape(SHAPE)
    geometry = Geometry(
        shape=SHAPE,
        spacing_mm=(3.0, 2.0, 1.0),
        origin_mm=(5.0, -7.0, 11.0),
        slice_direction=vector(directions[0]),
        row_direction=vector(directions[1]),
        column_direction=vector(directions[2]),
    )
    return Volume(array=array, geometry=geometry, unit="HU", valid=array > 7)


def where(one: Volume) -> dict[float, list[float]]:
    """Position of each value."""
    return {
        float(one.array[index]): one.geometry.position_mm(*index).round(6).tolist()
        for index in np.ndindex(one.array.shape)
    }


@pytest.mark.parametrize(("order", "signs"), AXES)
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_every_value_stays_where_it_is(
    order: tuple[int, ...], signs: tuple[int, ...], tilt: float
) -> None:
    straight = np.eye(3)[list(order)] * np.array(signs)[:, None]
    given = volume(straight @ Rotation.from_rotvec([tilt, 0, 0]).as_matrix())
    turned = transverse(given)
    before, after = where(given), where(turned)
    assert all(np.allclose(before[value], after[value], atol=1e-5) for value in before)
    assert turned.valid is not None
    assert np.array_equal(turned.valid, turned.array > 7)
    geometry = turned.geometry
    for direction, axis in (
        (geometry.slice_direction, 2),
        (geometry.row_direction, 1),
        (geometry.column_direction, 0),
    ):
        assert direction[axis] > 0.9


def test_a_transverse_volume_is_left_as_it_is() -> None:
    given = volume(np.eye(3)[::-1])
    turned = transverse(given)
    assert turned.geometry == given.geometry
    assert np.array_equal(turned.array, given.array)
