from __future__ import annotations

import hashlib
from dataclasses import astuple

import numpy as np
import pytest

from isocenter.core.volume import Geometry, Volume, digest_of_slices

GEOMETRY = Geometry(shape=(2, 3, 4), spacing_mm=(5.0, 0.8, 0.7), origin_mm=(-10.0, -20.0, 30.0))


def test_positions_follow_spacing_and_directions() -> None:
    assert np.allclose(GEOMETRY.position_mm(0), (-10, -20, 30))
    assert np.allclose(GEOMETRY.position_mm(1, 2, 3), (-10 + 2.1, -20 + 1.6, 35))


def test_positions_of_a_sagittal_scan() -> None:
    sagittal = Geometry(
        shape=(2, 2, 2),
        spacing_mm=(2.0, 3.0, 4.0),
        slice_direction=(1.0, 0.0, 0.0),
        row_direction=(0.0, 0.0, -1.0),
        column_direction=(0.0, 1.0, 0.0),
    )
    assert np.allclose(sagittal.position_mm(1, 1, 1), (2, 4, -3))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, -1)])
def test_refuses_an_axis_without_voxels(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least one voxel"):
        Geometry(shape=shape, spacing_mm=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan")])
def test_refuses_a_spacing_that_is_not_positive(step: float) -> None:
    with pytest.raises(ValueError, match="spacing_mm must be positive"):
        Geometry(shape=(1, 1, 1), spacing_mm=(1.0, step, 1.0))


def test_refuses_an_array_of_another_shape() -> None:
    with pytest.raises(ValueError, match="does not fit geometry"):
        Volume(array=np.zeros((2, 3, 5), np.float32), geometry=GEOMETRY, unit="HU")


def test_refuses_a_mask_of_another_shape() -> None:
    array = np.zeros(GEOMETRY.shape, np.float32)
    with pytest.raises(ValueError, match="valid mask"):
        Volume(array=array, geometry=GEOMETRY, unit="HU", valid=np.ones((3, 4), bool))
    assert Volume(array=array, geometry=GEOMETRY, unit="HU", valid=array == 0).unit == "HU"


def test_a_digest_is_over_geometry_values_and_mask_in_one_go() -> None:
    """Slices of 12 voxels: their masks do not end at a whole byte."""
    rng = np.random.default_rng(0)
    array = rng.normal(size=GEOMETRY.shape).astype(np.float32)
    valid = rng.random(GEOMETRY.shape) > 0.3
    volume = Volume(array=array, geometry=GEOMETRY, unit="HU", valid=valid)
    content = repr((astuple(GEOMETRY), "HU")).encode() + array.tobytes()
    wanted = hashlib.sha256(content + np.packbits(valid).tobytes()).hexdigest()
    assert digest_of_slices(volume.slices()) == volume.slices().source_digest() == wanted


def test_a_mask_that_leaves_nothing_out_is_as_none() -> None:
    array = np.zeros(GEOMETRY.shape, np.float32)
    bare = Volume(array=array, geometry=GEOMETRY, unit="HU")
    full = Volume(array=array, geometry=GEOMETRY, unit="HU", valid=array == 0)
    assert bare.slices().source_digest() == full.slices().source_digest()
