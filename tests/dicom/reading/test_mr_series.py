"""Classic MR images: the same parts as CT, without Hounsfield units and their rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from isocenter.core.acquisition import MrAcquisition
from isocenter.core.errors import UnreadableInput, UnsuitableScan
from isocenter.dicom.reading.open import find_series, open_ct_series, open_series

WriteMr = Callable[..., Any]


@pytest.fixture
def write_mr(write_classic_ct: Any) -> WriteMr:
    """Write a classic MR series; ``also`` may change each image, other options as for CT."""

    def write(also: Callable[[Dataset, int], None] | None = None, **options: Any) -> Any:
        def edit(dataset: Dataset, index: int) -> None:
            dataset.SOPClassUID = MRImageStorage
            dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
            dataset.Modality = "MR"
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
            dataset.ScanningSequence, dataset.SequenceVariant = "SE", ["SK", "SP"]
            dataset.EchoTime, dataset.RepetitionTime, dataset.InversionTime = "90.5", "5000", "0"
            dataset.FlipAngle, dataset.MagneticFieldStrength = "150", "1.5"
            dataset.DiffusionBValue = 0.0
            for keyword in """RescaleSlope RescaleIntercept RescaleType KVP ConvolutionKernel
            Exposure GantryDetectorTilt ReconstructionDiameter""".split():
                delattr(dataset, keyword)
            if also is not None:
                also(dataset, index)

        return write_classic_ct(edit=edit, intercept=0.0, signed=False, **options)

    return write


def test_values_are_what_is_stored_where_no_scale_is_named(write_mr: WriteMr) -> None:
    scan = write_mr(spacing_mm=(3.0, 0.9, 0.4))
    series = open_series(scan.folder, modality="MR")
    assert series.unit == ""
    assert series.geometry.spacing_mm == pytest.approx((3.0, 0.9, 0.4))
    volume = series.to_volume()
    np.testing.assert_array_equal(volume.array, scan.stored)
    assert volume.unit == ""
    assert volume.valid is None


def test_a_scale_may_differ_from_slice_to_slice(write_mr: WriteMr) -> None:
    def also(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + index, index
        dataset.RescaleType = "normalized"

    scan = write_mr(also)
    series = open_series(scan.folder, modality="MR")
    for index, stored in enumerate(scan.stored):
        np.testing.assert_array_equal(series.values(index), stored * (0.5 + index) + index)


def test_the_sequence_is_told(write_mr: WriteMr) -> None:
    assert open_series(write_mr().folder, modality="MR").acquisition == MrAcquisition(
        sequence="SE\\SK\\SP",
        echo_time_ms=90.5,
        repetition_time_ms=5000.0,
        flip_deg=150.0,
        field_strength_t=1.5,
        b_value_s_per_mm2=0.0,
        slice_thickness_mm=2.5,
        manufacturer="Seeded Scanners",
        manufacturer_model="Model 1",
        body_part="CHEST",
        scanning_sequence=("SE",),
        sequence_variant=("SK", "SP"),
        image_type=("ORIGINAL", "PRIMARY", "M"),
    )


def test_the_scanners_own_name_of_a_sequence_comes_first(write_mr: WriteMr) -> None:
    def also(dataset: Dataset, index: int) -> None:
        dataset.SequenceName = "*tse2d1_15"

    acquisition = open_series(write_mr(also).folder, modality="MR").acquisition
    assert isinstance(acquisition, MrAcquisition)
    assert acquisition.sequence == "*tse2d1_15"


def test_named_padding_alone_is_no_measurement(write_mr: WriteMr) -> None:
    stored = np.full((3, 8, 8), 100)
    stored[:, 2:4] = 7
    series = open_series(write_mr(stored=stored, padding=7).folder, modality="MR")
    np.testing.assert_array_equal(series.valid(1), stored[1] != 7)


def test_each_modality_is_found_among_the_other(
    write_mr: WriteMr, write_classic_ct: Any, tmp_path: Path
) -> None:
    write_classic_ct(folder=tmp_path / "both" / "ct", seed=1, shape=(3, 8, 8))
    write_mr(folder=tmp_path / "both" / "mr", seed=2, shape=(4, 8, 8))
    assert len(open_ct_series(tmp_path / "both")) == 3
    assert len(open_series(tmp_path / "both", modality="MR")) == 4
    (wanted,) = (one for one in find_series(tmp_path / "both", modality="MR") if one.fits)
    assert (wanted.modality, wanted.num_images) == ("MR", 4)


def test_the_other_modality_is_refused_by_name(write_mr: WriteMr, write_classic_ct: Any) -> None:
    with pytest.raises(UnsuitableScan, match="not an MR image series: CT Image Storage") as refusal:
        open_series(write_classic_ct().folder, modality="MR")
    assert refusal.value.reason == "not_mr"
    with pytest.raises(UnsuitableScan, match="not a CT image series: MR Image Storage"):
        open_ct_series(write_mr(seed=4).folder)


def test_what_cannot_be_read_is_refused(write_mr: WriteMr, tmp_path: Path) -> None:
    def no_slope(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 0, 0

    with pytest.raises(UnsuitableScan, match="Rescale Slope of 0"):
        open_series(write_mr(no_slope).folder, modality="MR")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableInput, match="holds an MR series"):
        open_series(tmp_path / "empty", modality="MR")
    with pytest.raises(ValueError, match="one of CT, MR"):
        open_series(tmp_path, modality="PT")  # type: ignore[arg-type]


def test_echoes_at_one_place_are_refused(write_mr: WriteMr, tmp_path: Path) -> None:
    def second_echo(dataset: Dataset, index: int) -> None:
        dataset.EchoTime = "20"
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.2"[-60:].lstrip(".0")

    write_mr(folder=tmp_path / "mr" / "a")
    write_mr(second_echo, folder=tmp_path / "mr" / "b")
    with pytest.raises(UnsuitableScan, match="several phases"):
        open_series(tmp_path / "mr", modality="MR")
