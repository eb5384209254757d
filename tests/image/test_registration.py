"""Planted motions are found again; wrong registrations are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tests.image.phantom_head import brain, geometry, head

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry, Volume
from isocenter.image.registration import (
    NO_MOTION,
    Motion,
    RegistrationSettings,
    folded_share,
    inverse,
    points_mm,
    register,
    resample,
    rigid_motion,
)
from isocenter.image.registration_check import (
    RegistrationLimits,
    check_registration,
    edge_agreement,
    normalized_information,
)
from isocenter.image.registration_picture import registration_picture

QUICK = RegistrationSettings(levels_mm=(8.0, 4.0), search_rotations=False)
POINTS = points_mm(geometry(), brain())


def moved_grid(motion: Motion) -> Geometry:
    """A grid that lies where ``motion`` puts that of the fixed image."""
    grid = geometry()
    back = inverse(motion)

    def direction(of: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = back.rotation @ np.array(of)
        return float(x), float(y), float(z)

    x, y, z = back.moved_mm(np.array([grid.origin_mm]))[0]
    return replace(
        grid,
        origin_mm=(float(x), float(y), float(z)),
        slice_direction=direction(grid.slice_direction),
        row_direction=direction(grid.row_direction),
        column_direction=direction(grid.column_direction),
    )


def head_after(motion: Motion, contrast: str) -> Volume:
    """What a scanner shows of the head after it moved by ``motion``."""
    return replace(head(contrast, grid=moved_grid(motion)), geometry=geometry())


def errors_mm(found: Motion, truth: Motion) -> np.ndarray:
    return np.linalg.norm(found.moved_mm(POINTS) - truth.moved_mm(POINTS), axis=1)


def test_angles_turn_about_the_axes_of_the_patient() -> None:
    for angles in [(10, 0, 0), (0, 20, 0), (0, 0, -15), (5, -8, 12)]:
        expected = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        np.testing.assert_allclose(rigid_motion(angles, (0, 0, 0), (0, 0, 0)).rotation, expected)


@given(
    angles=st.tuples(*[st.floats(-40, 40)] * 3),
    shift=st.tuples(*[st.floats(-50, 50)] * 3),
    center=st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_a_motion_and_its_inverse_are_none(
    angles: tuple[float, ...], shift: tuple[float, ...], center: tuple[float, ...]
) -> None:
    motion = rigid_motion(angles, shift, center)
    np.testing.assert_allclose(inverse(motion).moved_mm(motion.moved_mm(POINTS)), POINTS, atol=1e-6)


def test_resampling_looks_up_where_the_motion_says() -> None:
    """Against the formula of the head itself, which needs no interpolation."""
    truth = rigid_motion((4, -6, 9), (5, -7, 3), (0, 0, 0))
    fixed = head("T1")
    moving = head_after(truth, "T1")
    back = resample(moving, fixed.geometry, truth, interpolation="linear")
    assert back.valid is not None
    inside = brain() & back.valid
    assert np.corrcoef(back.array[inside], fixed.array[inside])[0, 1] > 0.8
    wrong = resample(moving, fixed.geometry, inverse(truth), interpolation="linear")
    assert np.corrcoef(wrong.array[inside], fixed.array[inside])[0, 1] < 0.7


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    image = head("T2")
    for interpolation in ("linear", "cubic", "nearest"):
        same = resample(image, image.geometry, interpolation=interpolation)
        np.testing.assert_allclose(same.array, image.array, atol=1e-2)
        assert same.valid is None


def test_what_the_moving_image_does_not_cover_is_not_valid() -> None:
    image = head("T1")
    shifted = resample(image, image.geometry, rigid_motion((0, 0, 0), (0, 0, 25), (0, 0, 0)))
    assert shifted.valid is not None
    assert not shifted.valid[-5:].any()
    assert (shifted.array[~shifted.valid] == 0).all()
    assert shifted.valid[:-5].all()


@pytest.mark.parametrize("contrast", ["T2", "FLAIR"])
def test_a_planted_motion_between_contrasts_is_found(contrast: str) -> None:
    truth = rigid_motion((5, -4, 7), (9, -6, 5), (0, 0, 0))
    motion = register(head_after(truth, contrast), head("T1"), settings=QUICK)
    assert errors_mm(motion, truth).mean() < 0.8  # a fifth of a voxel


def test_the_same_images_give_the_same_motion() -> None:
    truth = rigid_motion((3, 0, -4), (4, 2, 0), (0, 0, 0))
    moving = head_after(truth, "T2")
    motions = [register(moving, head("T1"), settings=QUICK) for _ in range(2)]
    np.testing.assert_array_equal(motions[0].rotation, motions[1].rotation)
    np.testing.assert_array_equal(motions[0].translation_mm, motions[1].translation_mm)


def test_a_deformation_is_followed_and_folds_nothing() -> None:
    image = head("T1")
    truth = rigid_motion((0, 0, 0), (0, 0, 0), (0, 0, 0))
    settings = replace(QUICK, mesh_mm=60.0, deformation_iterations=4, samples=8000)
    squeezed = replace(
        image,
        geometry=replace(
            image.geometry, spacing_mm=(5.0, 3.8, 4.0), origin_mm=(-98, -112.1, -57.5)
        ),
    )
    motion = register(squeezed, image, deformable=True, settings=settings)
    rigid = replace(motion, deformation=None)
    expected = POINTS * (1, 0.95, 1)
    before = np.linalg.norm(rigid.moved_mm(POINTS) - expected, axis=1).mean()
    after = np.linalg.norm(motion.moved_mm(POINTS) - expected, axis=1).mean()
    assert after < 0.7 * before
    assert folded_share(motion, image.geometry) == 0
    assert folded_share(truth, image.geometry) == 0
    with pytest.raises(ValueError, match="only a rigid motion"):
        inverse(motion)


def test_heads_far_apart_are_laid_on_each_other() -> None:
    far = replace(head("T1"), geometry=replace(geometry(), origin_mm=(5000.0, 0.0, 0.0)))
    motion = register(far, head("T1"), settings=QUICK)
    assert np.linalg.norm(motion.translation_mm) > 1000


def test_information_and_edges_know_their_ends() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 20000))
    assert normalized_information(first, first) == pytest.approx(2)
    assert normalized_information(first, second) < 1.05
    image = head("T1").array
    mask = brain()
    assert edge_agreement(image, -image, mask, (5, 4, 4)) == pytest.approx(1)
    assert edge_agreement(image, np.roll(image, 6, 1), mask, (5, 4, 4)) < 0.3


def test_a_right_registration_passes_and_one_pushed_off_fails() -> None:
    fixed, moving = head("T1"), head("T2", seed=1)
    limits = RegistrationLimits(least_edge_peak=1.5)  # voxels of 4 mm have few edges
    right = check_registration(moving, fixed, NO_MOTION, settings=QUICK, limits=limits)
    assert right.passed, right.problems
    right.refuse()
    assert right.round_trip_mm is not None
    assert right.round_trip_mm < 1
    off = rigid_motion((4, 0, 8), (9, 7, 0), (0, 0, 0))
    wrong = check_registration(moving, fixed, off, round_trip=False, limits=limits)
    assert not wrong.passed
    with pytest.raises(
        UnsuitableScan, match=r"edges agree .* times as well as 8 mm apart"
    ) as refusal:
        wrong.refuse()
    assert refusal.value.reason == "registration"


def test_another_persons_head_fails() -> None:
    fixed, other = head("T1"), head("T2", person=7)
    check = check_registration(other, fixed, NO_MOTION, round_trip=False)
    assert not check.passed


def test_what_covers_too_little_fails() -> None:
    fixed = head("T1")
    part = head("T2", grid=replace(geometry((8, 60, 50)), origin_mm=(-98.0, -118.0, -57.5)))
    check = check_registration(part, fixed, NO_MOTION, round_trip=False)
    assert check.covered < 0.4
    assert any("covers" in one for one in check.problems)


def test_the_picture_shows_both_images_before_and_after() -> None:
    picture = registration_picture(head("T2"), head("T1"), NO_MOTION)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.std() > 10
    # A right registration without motion looks the same in both rows.
    top, bottom = np.split(picture, 2)
    np.testing.assert_array_equal(top, bottom)


@settings(max_examples=5)
@given(shift=st.floats(-1e3, 1e3))
def test_where_the_patients_zero_lies_does_not_matter(shift: float) -> None:
    image = head("T1")
    x, y, z = (one + shift for one in image.geometry.origin_mm)
    moved = replace(image, geometry=replace(image.geometry, origin_mm=(x, y, z)))
    back = resample(
        moved,
        image.geometry,
        rigid_motion((0, 0, 0), (shift,) * 3, (0, 0, 0)),
        interpolation="linear",
    )
    np.testing.assert_allclose(
        back.array[1:-1, 1:-1, 1:-1], image.array[1:-1, 1:-1, 1:-1], atol=0.5
    )
