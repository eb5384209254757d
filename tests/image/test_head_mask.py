"""Head and brain of a head made of formulas, and of real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.image.phantom_head import SIGNALS, brain, geometry, head, labels

from isocenter.core.errors import UnsuitableScan
from isocenter.core.volume import Geometry, Volume
from isocenter.image.head_mask import brain_mask, depth_mm, head_mask
from isocenter.image.head_shape import check_is_head, is_skull_stripped


def dice(first: NDArray, second: NDArray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


@pytest.mark.parametrize("contrast", SIGNALS)
def test_head_and_brain_are_found_in_any_contrast(contrast: str) -> None:
    image = head(contrast)
    found = head_mask(image)
    assert dice(found, labels(image.geometry) > 0) > 0.95
    inside = brain_mask(image, found)
    assert dice(inside, brain()) > 0.88
    assert not (inside & ~found).any()


def test_a_brain_without_skull_is_head_and_brain_in_one() -> None:
    image = head("T1", stripped=True)
    assert dice(head_mask(image), brain()) > 0.93
    assert dice(brain_mask(image), brain()) > 0.85


@pytest.mark.parametrize("contrast", SIGNALS)
def test_a_stripped_skull_is_told(contrast: str) -> None:
    assert is_skull_stripped(head(contrast, stripped=True))
    assert not is_skull_stripped(head(contrast))


def test_depth_knows_no_surface_at_the_ends_of_a_stack() -> None:
    mask = np.ones((3, 9, 9), bool)
    depth = depth_mm(mask, (5.0, 1.0, 1.0))
    assert depth[0, 4, 4] == depth[1, 4, 4] == 5.0


def test_a_head_passes_in_any_orientation_and_other_sizes_do_not() -> None:
    check_is_head(head())
    grid = geometry()
    turned = Geometry(
        shape=(grid.shape[2], grid.shape[0], grid.shape[1]),
        spacing_mm=(grid.spacing_mm[2], grid.spacing_mm[0], grid.spacing_mm[1]),
        origin_mm=grid.origin_mm,
        slice_direction=grid.column_direction,
        row_direction=grid.slice_direction,
        column_direction=grid.row_direction,
    )
    image = Volume(array=head().array.transpose(2, 0, 1), geometry=turned, unit="")
    check_is_head(image)
    for factor in (0.45, 2.2):
        first, second, third = (step * factor for step in grid.spacing_mm)
        scaled = replace(grid, spacing_mm=(first, second, third))
        with pytest.raises(UnsuitableScan, match="which is no head") as refusal:
            check_is_head(replace(head(), geometry=scaled))
        assert refusal.value.reason == "body_part"


def test_an_empty_image_holds_no_head() -> None:
    image = head()
    with pytest.raises(UnsuitableScan, match="no body of 200 mL"):
        head_mask(replace(image, array=np.zeros_like(image.array)))


REAL = {
    "ms_ljubljana_longitudinal/mslong_patient01_s1": {"t1": 0.88, "t2": 0.90, "flair": 0.95},
    "ms_ljubljana_longitudinal/mslong_patient03_s2": {"t1": 0.82, "t2": 0.85, "flair": 0.88},
    "ms_ljubljana_crosssectional_mni/mscs_patient19": {"t1": 0.93, "t2": 0.94, "flair": 0.94},
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_brains_overlap_with_masks_made_by_others(name: str, data_folder: Path) -> None:
    content = np.load(data_folder / "mri" / f"{name}.npz")
    first, second, third = (float(step) for step in content["spacing_mm"])
    for contrast, least in REAL[name].items():
        array = content[contrast].astype(np.float32)
        grid = Geometry(shape=array.shape, spacing_mm=(first, second, third))
        image = Volume(array=array, geometry=grid, unit="")
        assert dice(brain_mask(image), content["brain"] > 0) > least
        assert is_skull_stripped(image) == ("mni" in name)
        check_is_head(image)
