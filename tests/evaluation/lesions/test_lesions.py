from __future__ import annotations

import numpy as np
import pytest

from isocenter.core.volume import Geometry, Volume
from isocenter.evaluation.lesions.lesions import (
    LESION_KINDS,
    Lesion,
    LesionKind,
    insert_lesions,
    lesion_profile,
    places_without_lesion,
    plan_lesions,
    suitable_places,
    voxel_of,
)

SPACING = (2.0, 0.9, 0.9)
GEOMETRY = Geometry(shape=(5, 256, 256), spacing_mm=SPACING, origin_mm=(-100.0, -90.0, 30.0))


def kind(diameter_mm: float = 6.0, contrast_hu: float = 100.0, tissue: str = "lung") -> LesionKind:
    return LesionKind(name="test", tissue=tissue, diameter_mm=diameter_mm, contrast_hu=contrast_hu)


@pytest.fixture(scope="module")
def torso() -> Volume:
    """Two lungs with vessels beside soft tissue, in air; noise of 10 HU."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:256, :256]
    image = np.full((256, 256), -1000.0)
    image[(row - 128) ** 2 / 110**2 + (column - 128) ** 2 / 120**2 < 1] = 60.0
    for centre in (78, 178):
        image[(row - 110) ** 2 / 62**2 + (column - centre) ** 2 / 42**2 < 1] = -850.0
    image[(row - 110) ** 2 + (column - 60) ** 2 < 16] = 40.0  # a vessel in the first lung
    noisy = image + 10 * rng.standard_normal((5, 256, 256))
    return Volume(array=noisy.astype(np.float32), geometry=GEOMETRY, unit="HU")


@pytest.mark.parametrize("lobulation", [0.0, 0.06])
@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 10.0])
def test_a_nodule_holds_the_volume_of_its_sphere(diameter_mm: float, lobulation: float) -> None:
    lesion = Lesion(
        kind=kind(diameter_mm), position_mm=(12.3, 20.1, 34.0), lobulation=lobulation, shape_seed=4
    )
    _, profile = lesion_profile(lesion, GEOMETRY)
    held = profile.sum() * np.prod(SPACING) / 100.0
    assert held == pytest.approx(np.pi * diameter_mm**3 / 6, rel=0.02)


def test_a_nodule_lies_where_it_is_recorded() -> None:
    lesion = Lesion(kind=kind(8.0), position_mm=(12.3, 20.1, 33.7), lobulation=0.0)
    first, profile = lesion_profile(lesion, GEOMETRY)
    grid = np.indices(profile.shape).reshape(3, -1)
    centre = first + grid @ profile.ravel() / profile.sum()
    assert centre == pytest.approx(voxel_of(lesion.position_mm, GEOMETRY), abs=0.02)


def test_a_large_nodule_reaches_its_contrast_and_a_small_one_less_in_thick_slices() -> None:
    thick = Geometry(shape=(5, 64, 64), spacing_mm=(5.0, 0.7, 0.7))
    at = (22.4, 22.4, 10.0)
    large = lesion_profile(Lesion(kind=kind(20.0), position_mm=at, lobulation=0.0), thick)[1]
    small = lesion_profile(Lesion(kind=kind(4.0), position_mm=at, lobulation=0.0), thick)[1]
    assert large.max() == pytest.approx(100, abs=0.1)
    assert 40 < small.max() < 80


def test_resolution_softens_the_edge() -> None:
    def steepest(resolution_mm: float) -> float:
        lesion = Lesion(
            kind=kind(10.0), position_mm=(10.0, 10.0, 34.0), resolution_mm=resolution_mm
        )
        return float(np.abs(np.diff(lesion_profile(lesion, GEOMETRY)[1], axis=2)).max())

    assert steepest(0.6) > steepest(1.5) > steepest(3.0)


def test_insertion_is_rebuilt_from_its_record_and_leaves_the_rest(torso: Volume) -> None:
    lesions = plan_lesions(torso, slice_index=2, seed=3)
    once, again = insert_lesions(torso, lesions), insert_lesions(torso, list(lesions))
    assert np.array_equal(once.array, again.array)
    assert not np.array_equal(once.array, torso.array)
    changed = once.array[2] != torso.array[2]
    for lesion in lesions:
        _, row, column = np.rint(voxel_of(lesion.position_mm, torso.geometry)).astype(int)
        changed[row - 12 : row + 13, column - 12 : column + 13] = False
    assert not changed.any()


def test_a_nodule_at_the_border_is_cut_off_not_wrapped(torso: Volume) -> None:
    x, y, z = (float(value) for value in torso.geometry.position_mm(0, 0, 0))
    grown = insert_lesions(torso, [Lesion(kind=kind(10.0), position_mm=(x, y, z))])
    changed = grown.array - torso.array
    assert changed[0, :3, :3].min() > 50
    assert not changed[-1].any()
    assert not changed[:, -20:].any()


@pytest.mark.parametrize("tissue", ["lung", "soft"])
def test_places_are_in_their_tissue_apart_and_inside(torso: Volume, tissue: str) -> None:
    places = suitable_places(
        torso.array.mean(axis=0),
        spacing_mm=SPACING[1:],
        tissue=tissue,
        reach_mm=6.0,
        separation_mm=20.0,
        border_mm=13.0,
    )
    assert len(places) > 10
    gaps = np.hypot(*((places[:, None] - places) * 0.9).transpose(2, 0, 1))
    assert gaps[~np.eye(len(places), dtype=bool)].min() >= 20.0
    assert places.min() >= 13 / 0.9 - 1
    clean = torso.array.mean(axis=0)
    for row, column in places:
        patch = clean[row - 3 : row + 4, column - 3 : column + 4]
        assert abs(patch.mean() - (-850 if tissue == "lung" else 60)) < 10
    if tissue == "lung":
        assert np.hypot(*((places - (110, 60)) * 0.9).T).min() >= 6.0  # clear of the vessel


def test_kinds_take_turns_over_places(torso: Volume) -> None:
    lesions = plan_lesions(torso, slice_index=2, separation_mm=20.0, seed=1)
    for tissue in ("lung", "soft"):
        kinds = [k for k in LESION_KINDS if k.tissue == tissue]
        counts = [sum(lesion.kind == k for lesion in lesions) for k in kinds]
        assert max(counts) - min(counts) <= 1
        assert sum(counts) >= 8


def test_places_without_lesion_stay_away_from_lesions(torso: Volume) -> None:
    lesions = plan_lesions(torso, slice_index=2, separation_mm=60.0, seed=1)
    free = places_without_lesion(torso, lesions, separation_mm=20.0)
    centres = np.array([voxel_of(lesion.position_mm, torso.geometry)[1:] for lesion in lesions])
    for places in free.values():
        assert len(places)
        gaps = np.hypot(*((places[:, None, 1:] - centres) * 0.9).transpose(2, 0, 1))
        assert gaps.min() >= 19.5


def test_voxel_of_undoes_position_mm_for_tilted_axes() -> None:
    geometry = Geometry(
        shape=(4, 10, 10),
        spacing_mm=(3.0, 0.8, 0.7),
        origin_mm=(5.0, -7.0, 11.0),
        slice_direction=(0.0, 0.6, 0.8),
        row_direction=(0.0, 0.8, -0.6),
        column_direction=(1.0, 0.0, 0.0),
    )
    position = tuple(geometry.position_mm(1.5, 4.0, 7.25))
    assert voxel_of(position, geometry) == pytest.approx([1.5, 4.0, 7.25])


def test_an_unknown_tissue_is_refused() -> None:
    with pytest.raises(ValueError, match="tissue must be one of"):
        kind(tissue="brain")
