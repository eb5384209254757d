"""What the command writes, and that it writes nothing where the check fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.image.phantom_head import geometry, head

from isocenter.core.errors import OutputRefused, UnsuitableScan
from isocenter.image import registration_check
from isocenter.image.volume_files import read_volume_file, write_volume_file
from isocenter.tasks.register.register import register_images


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two contrasts of one head on different grids."""
    moving = head("T2", grid=geometry((20, 50, 44), (6.0, 4.5, 4.5)))
    return (
        write_volume_file(moving, tmp_path / "t2.nii.gz"),
        write_volume_file(head("T1"), tmp_path / "t1.mha"),
    )


def test_the_moving_image_lies_on_the_fixed_grid(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = registration_check.RegistrationLimits(least_edge_peak=1.4)  # voxels of 6 mm
    monkeypatch.setattr(registration_check, "RegistrationLimits", lambda: limits)
    result = register_images(*files, tmp_path / "out")
    assert result.check.passed
    image = read_volume_file(result.folder / "registered.nii.gz")
    assert image.geometry.shape == geometry().shape
    np.testing.assert_allclose(image.geometry.origin_mm, geometry().origin_mm, atol=1e-3)
    covered = read_volume_file(result.folder / "covered.nii.gz")
    assert set(np.unique(covered.array)) <= {0.0, 1.0}
    assert (result.folder / "registration.png").stat().st_size > 1000
    record = json.loads((result.folder / "registration.json").read_text())
    assert record["check"]["passed"]
    assert np.array(record["motion"]["rotation"]).shape == (3, 3)
    with pytest.raises(OutputRefused, match="exists already"):
        register_images(*files, tmp_path / "out")


def test_a_check_that_fails_leaves_nothing_unless_forced(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    other = write_volume_file(head("T2", person=5), tmp_path / "other.nii")
    with pytest.raises(UnsuitableScan, match="the registration failed") as refusal:
        register_images(other, files[1], tmp_path / "out")
    assert refusal.value.reason == "registration"
    assert not (tmp_path / "out").exists()
    forced = register_images(other, files[1], tmp_path / "out", force=True)
    assert forced.warnings
    assert (tmp_path / "out" / "registered.nii.gz").exists()
