from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import InputRefused
from isocenter.core.volume import Geometry, Volume
from isocenter.datasets.image_sets.chest_ct import (
    GUIDE,
    guide_of,
    on_grid,
    read_chest_ct,
)
from isocenter.dicom.reading.runs import open_even_runs
from isocenter.dicom.writing.phantom_scan import write_phantom_scan


def chest(size: int = 128, spacing_mm: float = 3.0) -> NDArray:
    """Two lungs in a body, 384 mm wide."""
    down, across = (np.indices((size, size)) - (size - 1) / 2) * spacing_mm
    image = np.full((size, size), -1000.0)
    image[np.hypot(down / 110, across / 160) < 1] = 40
    for side in (-75, 75):
        image[np.hypot(down / 80, (across - side) / 55) < 1] = -850
    return image


def data_of(tmp_path: Path, images: dict[str, NDArray]) -> Path:
    entries = []
    for name, image in images.items():
        folder = tmp_path / "ct" / "train" / name
        folder.mkdir(parents=True)
        noise = np.random.default_rng(3).normal(0, 8, (2, *image.shape))
        volume = Volume(
            array=(image + noise).astype(np.float32),
            unit="HU",
            geometry=Geometry(shape=(2, *image.shape), spacing_mm=(2.5, 3.0, 3.0)),
            acquisition=CtAcquisition(kernel="B50f", slice_thickness_mm=2.5),
        )
        write_phantom_scan(volume, folder)
        entries.append({"id": name, "patient_id": f"patient of {name}", "kernel": "B50f"})
    (tmp_path / "ct" / "index.json").write_text(json.dumps(entries))
    return tmp_path


def test_chest_slices_come_in_hu_with_body_and_lung_marked(tmp_path: Path) -> None:
    belly = np.where(chest() == -850, 50.0, chest())
    found = read_chest_ct(data_of(tmp_path, {"chest": chest(), "belly": belly}))
    assert found.stored.shape == (2, 256, 256)
    assert found.stored.dtype == np.int16
    assert {one.patient for one in found.labels} == {"patient of chest"}
    assert found.labels[0].categories == {"kernel": "sharp"}
    assert found.labels[0].numbers["noise_hu"] == pytest.approx(8, rel=0.35)
    assert found.guides is not None
    assert found.guide_names == GUIDE
    inside = found.stored[0][found.guides[0] == 2]
    assert abs(np.median(inside) + 850) < 10
    assert abs(np.median(found.stored[0][found.guides[0] == 1]) - 40) < 10


def test_no_chest_is_refused(tmp_path: Path) -> None:
    belly = np.where(chest() == -850, 50.0, chest())
    with pytest.raises(InputRefused, match="add scans of the chest"):
        read_chest_ct(data_of(tmp_path, {"belly": belly}))


@pytest.mark.parametrize(("size", "spacing_mm"), [(128, 3.0), (256, 1.5), (512, 0.75), (480, 0.6)])
def test_the_grid_keeps_places_and_values(size: int, spacing_mm: float) -> None:
    grid = on_grid(chest(size, spacing_mm), spacing_mm=(spacing_mm, spacing_mm))
    reference = chest(256, 1.5)
    if size * spacing_mm < 384:
        assert grid[0, 0] == -1024
    inside = np.hypot(*((np.indices((256, 256)) - 127.5) * 1.5)) < 130
    different = np.abs(grid - reference)[inside] > 60
    assert different.mean() < 0.09
    assert grid[inside].mean() == pytest.approx(reference[inside].mean(), abs=5)


def test_finer_pixels_are_averaged_not_sampled() -> None:
    noise = np.random.default_rng(0).normal(0, 40, (512, 512))
    grid = on_grid(noise, spacing_mm=(0.5, 0.5))
    assert grid[100:150, 100:150].std() < 20


def test_a_lung_that_the_field_of_view_lays_open_is_still_found() -> None:
    image = chest(256, 1.5)
    image[:, :22] = -1024
    image[:, 22:] = np.where(image[:, 22:] > -900, image[:, 22:], -1000)
    image[90:160, 20:45] = -850  # lung where the wall should be
    image[90:160, :20] = -1024
    guide = guide_of(image.astype(np.float32))
    assert (guide[:, :128] == 2).sum() > 0.7 * (image[:, :128] == -850).sum()


@pytest.mark.real_data
def test_a_real_slice_has_two_lungs(data_folder: Path) -> None:
    files = sorted((data_folder / "ct" / "train" / "lidc_0001_run0").iterdir())
    run = open_even_runs(files[len(files) // 2])[0]
    image = on_grid(run.values(0), spacing_mm=run.geometry.spacing_mm[1:])
    _, count = ndimage.label(guide_of(image) == 2)
    assert count == 2
    assert 0.1 < (guide_of(image) == 2).mean() < 0.4
