"""Masks: voxels, places, meaning, the model that drew them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from isocenter.core.outputs import Code, MaskOutput
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import Provenance, is_enhanced
from isocenter.dicom.reading.open import CtSeries, open_ct_series
from isocenter.dicom.writing.new_grid import NewGrid
from isocenter.dicom.writing.segmentation import SegmentationWriter

OUTPUT = MaskOutput(
    name="inserted lesion",
    label="Inserted lesion",
    derivation=Code("LESINS", "99ISOCENTER", "Lesion insertion"),
    category=Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    kind=Code("52988006", "SCT", "Lesion"),
)
# Rows times columns is no multiple of eight, so frames share bytes.
GRID = NewGrid(
    geometry=Geometry(
        shape=(5, 7, 9),
        spacing_mm=(2.0, 0.5, 1.5),
        origin_mm=(10.0, -20.0, 30.0),
        slice_direction=(0.0, -0.6, 0.8),
        row_direction=(0.0, 0.8, 0.6),
    )
)


def provenance() -> Provenance:
    record = RunRecord(
        task="lesion",
        product_version="0.1.0",
        model_name="test-model",
        model_version="1",
        weights_sha256="ab" * 32,
    )
    return Provenance(
        record=record,
        model_description="A test.",
        clock=lambda: datetime(2026, 2, 3, tzinfo=UTC),
    )


def mask_of(shape: tuple[int, int, int]) -> NDArray:
    """Something everywhere but in the second and the last slice."""
    mask = np.random.default_rng(0).random(shape) < 0.3
    mask[1] = mask[-1] = False
    return mask


def write(place: CtSeries | NewGrid, folder: Path, mask: NDArray) -> Path:
    folder.mkdir(exist_ok=True)
    writer = SegmentationWriter(place, folder, provenance=provenance(), output=OUTPUT)
    for index, one in enumerate(mask):
        writer.write(index, one)
    (path,) = writer.finish()
    return path


@pytest.fixture(params=["classic", "enhanced", "new"])
def place(request: Any, write_classic_ct: Any, write_enhanced_ct: Any) -> CtSeries | NewGrid:
    if request.param == "new":
        return GRID
    writer = write_classic_ct if request.param == "classic" else write_enhanced_ct
    return open_ct_series(writer(shape=(5, 7, 9), shuffle=True).folder)


def test_voxels_lie_where_they_were_marked(place: CtSeries | NewGrid, tmp_path: Path) -> None:
    mask = mask_of(place.geometry.shape)
    dataset = pydicom.dcmread(write(place, tmp_path, mask))
    assert dataset.SOPClassUID.name == "Segmentation Storage"
    frames = dataset.pixel_array.astype(bool)
    groups = dataset.PerFrameFunctionalGroupsSequence
    for frame, group, index in zip(frames, groups, (0, 2, 3), strict=True):
        np.testing.assert_array_equal(frame, mask[index])
        position_mm = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position_mm, place.geometry.position_mm(index), atol=1e-6)
        assert group.FrameContentSequence[0].DimensionIndexValues[0] == 1
        if isinstance(place, CtSeries):
            (source,) = group.DerivationImageSequence[0].SourceImageSequence
            assert source.ReferencedSOPInstanceUID == place.sop_instance_uids[index]


def test_highdicom_reads_the_same_mask(place: CtSeries | NewGrid, tmp_path: Path) -> None:
    mask = mask_of(place.geometry.shape)
    segmentation = hd.seg.segread(write(place, tmp_path, mask))
    volume = segmentation.get_volume(combine_segments=True, allow_missing_positions=True)
    counts = sorted(volume.array.sum(axis=(1, 2)).tolist())
    assert counts == sorted(mask[:4].sum(axis=(1, 2)).tolist())


def test_meaning_and_model_are_written(place: CtSeries | NewGrid, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write(place, tmp_path, mask_of(place.geometry.shape)))
    (segment,) = dataset.SegmentSequence
    assert segment.SegmentLabel == "Inserted lesion"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (
        "test-model",
        "1@abababababab",
    )
    assert dataset.SyntheticData == "YES"
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.Modality == "SEG"
    assert dataset.SeriesDescription == "AI SEGMENTATION Inserted lesion"
    assert is_enhanced(dataset)


def test_person_and_study_come_from_the_source(write_classic_ct: Any, tmp_path: Path) -> None:
    series = open_ct_series(write_classic_ct(shape=(5, 7, 9)).folder)
    dataset = pydicom.dcmread(write(series, tmp_path, mask_of((5, 7, 9))))
    for keyword in "PatientName PatientID StudyInstanceUID FrameOfReferenceUID".split():
        assert dataset[keyword].value == series.header(0)[keyword].value


def test_an_empty_mask_is_one_empty_frame(
    tmp_path: Path, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    path = write(GRID, tmp_path, np.zeros(GRID.geometry.shape, bool))
    dataset = pydicom.dcmread(path)
    assert dataset.NumberOfFrames == 1
    assert not dataset.pixel_array.any()
    assert dciodvfy_errors(path) == []


def test_a_second_run_gives_the_same_file(place: CtSeries | NewGrid, tmp_path: Path) -> None:
    mask = mask_of(place.geometry.shape)
    first, second = (write(place, tmp_path / name, mask) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    writer = SegmentationWriter(GRID, tmp_path, provenance=provenance(), output=OUTPUT)
    with pytest.raises(ValueError, match="bool"):
        writer.write(0, np.zeros((7, 9)))
    with pytest.raises(ValueError, match="rows and columns"):
        writer.write(0, np.zeros((9, 7), bool))
    with pytest.raises(ValueError, match="5 of 5"):
        writer.finish()


def test_dciodvfy_finds_no_error(
    place: CtSeries | NewGrid, tmp_path: Path, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    assert dciodvfy_errors(write(place, tmp_path, mask_of(place.geometry.shape))) == []
