from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.physics.phantom.analytic_head import analytic_head
from isocenter.physics.phantom.anatomy import Anatomy, sampled, tissue_number, upsampled

NEEDED = (
    "white matter", "cortex", "csf", "ventricle", "thalamus", "caudate", "putamen", "pallidum",
    "hippocampus", "cerebellar white matter", "cerebellar cortex", "brainstem", "cortical bone",
    "marrow", "skin", "soft tissue", "vitreous", "air",
)  # fmt: skip


def test_a_head_of_ellipsoids_has_all_tissues_and_is_the_same_again(
    tissues: NDArray[np.uint8],
) -> None:
    present = set(np.unique(tissues))
    assert {tissue_number(name) for name in NEEDED} <= present
    np.testing.assert_array_equal(tissues, analytic_head(np.random.default_rng(1), scale=0.5))
    assert (tissues != analytic_head(np.random.default_rng(2), scale=0.5)).any()


def test_the_box_of_the_cerebrum_runs_from_minus_one_to_one(anatomy: Anatomy) -> None:
    low, high = anatomy.cerebrum_box
    np.testing.assert_allclose(anatomy.normalized(low), -1, atol=1e-6)
    np.testing.assert_allclose(anatomy.normalized(high), 1, atol=1e-6)
    np.testing.assert_allclose(anatomy.voxel_at((-1, -1, -1)), low)
    assert anatomy.half_width_mm == pytest.approx(35, rel=0.15)


def test_the_head_lies_as_it_should(anatomy: Anatomy) -> None:
    eyes = np.argwhere(anatomy.where("vitreous")).mean(0)
    cerebellum = np.argwhere(anatomy.where("cerebellar cortex")).mean(0)
    cortex = np.argwhere(anatomy.where("cortex")).mean(0)
    assert eyes[1] < cortex[1] < cerebellum[1]
    assert cerebellum[0] < cortex[0]


def test_distances_are_zero_inside_and_grow_outside(anatomy: Anatomy) -> None:
    ventricle = anatomy.where("ventricle")
    whole = upsampled(anatomy.ventricle_mm, anatomy.tissues.shape)
    assert whole.shape == anatomy.tissues.shape
    assert whole[ventricle].mean() < 4
    assert whole[anatomy.where("cortex")].mean() > 8
    box = (slice(10, 14), slice(20, 26), slice(30, 33))
    assert np.abs(sampled(anatomy.ventricle_mm, box) - whole[box]).max() < 4


def test_the_brain_holds_its_ventricles_and_no_bone(anatomy: Anatomy) -> None:
    assert anatomy.brain[anatomy.where("white matter", "ventricle")].all()
    assert not anatomy.brain[anatomy.where("cortical bone", "skin")].any()


def test_a_map_without_brain_is_refused() -> None:
    with pytest.raises(ValueError, match="no white matter"):
        _ = Anatomy(tissues=np.zeros((20, 20, 20), np.uint8)).cerebrum_box
