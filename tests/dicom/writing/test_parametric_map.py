"""Parametric maps: values, unit and meaning, place, and constant memory."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.record import RunRecord
from isocenter.dicom.marking import Provenance
from isocenter.dicom.reading.open import CtSeries, open_ct_series
from isocenter.dicom.writing.parametric_map import write_parametric_map

DESCRIPTION = "Half-width of the 90 % prediction interval, in HU"


def provenance() -> Provenance:
    record = RunRecord(
        task="ct_enhance",
        product_version="0.1.0",
        model_name="test-model",
        model_version="1",
        weights_sha256="ab" * 32,
        settings={"strength": 1.0},
    )
    return Provenance(
        record=record,
        model_description="A test.",
        clock=lambda: datetime(2026, 2, 3, tzinfo=UTC),
    )


def map_of(index: int, shape: tuple[int, ...]) -> NDArray:
    return np.random.default_rng(index).gamma(2, 5, shape).astype(np.float32)


def write(series: CtSeries, folder: Path, *, chunk: int = 64) -> list[Path]:
    folder.mkdir(exist_ok=True)
    shape = series.geometry.shape[1:]
    maps = (map_of(index, shape) for index in range(len(series)))
    return write_parametric_map(
        series,
        folder,
        maps,
        provenance=provenance(),
        label="UNCERTAINTY",
        description=DESCRIPTION,
        chunk=chunk,
    )


@pytest.fixture(params=["classic", "enhanced"])
def series(request: Any, write_classic_ct: Any, write_enhanced_ct: Any) -> CtSeries:
    writer = write_classic_ct if request.param == "classic" else write_enhanced_ct
    return open_ct_series(writer(shape=(5, 14, 12), shuffle=True).folder)


def test_values_lie_where_the_slices_lie(series: CtSeries, tmp_path: Path) -> None:
    paths = write(series, tmp_path, chunk=2)
    assert [path.name for path in paths] == ["UM0001.dcm", "UM0002.dcm", "UM0003.dcm"]
    index = 0
    for path in paths:
        dataset = pydicom.dcmread(path)
        assert dataset.FrameOfReferenceUID == series.header(0).FrameOfReferenceUID
        shared = dataset.SharedFunctionalGroupsSequence[0]
        orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        geometry = series.geometry
        np.testing.assert_allclose(
            orientation, (*geometry.column_direction, *geometry.row_direction)
        )
        spacing_mm = shared.PixelMeasuresSequence[0].PixelSpacing
        np.testing.assert_allclose(spacing_mm, geometry.spacing_mm[1:])
        frames = dataset.pixel_array.reshape(-1, *geometry.shape[1:])
        for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
            np.testing.assert_array_equal(frame, map_of(index, frame.shape))
            position_mm = group.PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(position_mm, geometry.position_mm(index), atol=1e-6)
            (item,) = group.DerivationImageSequence[0].SourceImageSequence
            assert item.ReferencedSOPInstanceUID == series.sop_instance_uids[index]
            if series.is_multiframe:
                assert item.ReferencedFrameNumber == series.frame_number(index) + 1
            index += 1
    assert index == len(series)


def test_unit_and_meaning_are_written(series: CtSeries, tmp_path: Path) -> None:
    (path,) = write(series, tmp_path)
    dataset = pydicom.dcmread(path)
    assert dataset.SOPClassUID.name == "Parametric Map Storage"
    assert dataset.ImageType == ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"]
    assert dataset.Modality == "CT"
    assert dataset.SyntheticData == "YES"
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.ContentDescription == DESCRIPTION
    assert DESCRIPTION in dataset.ImageComments
    assert dataset.SeriesDescription.startswith("AI UNCERTAINTY")
    (mapping,) = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
    assert mapping.LUTExplanation == DESCRIPTION
    (quantity,) = mapping.QuantityDefinitionSequence
    concept = quantity.ConceptCodeSequence[0]
    assert (concept.CodeValue, concept.CodingSchemeDesignator) == ("PIHW90", "99ISOCENTER")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


def test_highdicom_reads_the_values_in_their_unit(series: CtSeries, tmp_path: Path) -> None:
    (path,) = write(series, tmp_path)
    volume = hd.imread(path).get_volume(apply_real_world_transform=True)
    assert volume.array.shape == series.geometry.shape
    np.testing.assert_allclose(
        np.sort(volume.array[:, 3, 4]),
        np.sort([map_of(index, series.geometry.shape[1:])[3, 4] for index in range(len(series))]),
    )


def test_person_study_and_equipment_come_from_the_source(series: CtSeries, tmp_path: Path) -> None:
    (path,) = write(series, tmp_path)
    dataset, source = pydicom.dcmread(path), series.header(0)
    for keyword in "PatientName PatientID StudyInstanceUID StudyDate StudyTime".split():
        assert dataset[keyword].value == source[keyword].value
    scanner, model = dataset.ContributingEquipmentSequence
    assert scanner.Manufacturer == "Seeded Scanners"
    assert model.Manufacturer == dataset.Manufacturer == "Isocenter"


def test_a_second_run_gives_the_same_files(series: CtSeries, tmp_path: Path) -> None:
    first = write(series, tmp_path / "a", chunk=3)
    second = write(series, tmp_path / "b", chunk=3)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in first}
    assert len(uids) == len(first)


def test_no_more_than_a_chunk_is_held(series: CtSeries, tmp_path: Path) -> None:
    asked = []

    def maps() -> Iterator[NDArray]:
        for index in range(len(series)):
            asked.append(len(list(tmp_path.glob("*.dcm"))))
            yield map_of(index, series.geometry.shape[1:])

    write_parametric_map(
        series, tmp_path, maps(), provenance=provenance(), label="M", description="d", chunk=2
    )
    assert asked == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(("num_maps", "message"), [(4, "fewer"), (6, "more")])
def test_maps_and_slices_must_match(
    series: CtSeries, tmp_path: Path, num_maps: int, message: str
) -> None:
    maps = (map_of(0, series.geometry.shape[1:]) for _ in range(num_maps))
    with pytest.raises(ValueError, match=message):
        write_parametric_map(
            series, tmp_path, maps, provenance=provenance(), label="M", description="d"
        )


def test_maps_that_are_not_finite_are_refused(series: CtSeries, tmp_path: Path) -> None:
    maps = (np.full(series.geometry.shape[1:], np.nan, np.float32) for _ in range(len(series)))
    with pytest.raises(ValueError, match="finite"):
        write_parametric_map(
            series, tmp_path, maps, provenance=provenance(), label="M", description="d"
        )


def test_headers_that_highdicom_refuses_are_copied(write_classic_ct: Any, tmp_path: Path) -> None:
    def spoil(dataset: Dataset, index: int) -> None:
        del dataset.StudyID
        dataset.PatientSex = "X"
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName = "山田^太郎"

    source = open_ct_series(write_classic_ct(edit=spoil).folder)
    (path,) = write(source, tmp_path)
    dataset = pydicom.dcmread(path)
    assert dataset.PatientName == "山田^太郎"
    assert dataset.PatientSex == "X"


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed"
)
def test_dciodvfy_finds_no_error(series: CtSeries, tmp_path: Path) -> None:
    (path,) = write(series, tmp_path)
    answer = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    errors = [line for line in answer.stderr.splitlines() if line.startswith("Error")]
    assert [error for error in errors if "(0008,001c)" not in error] == []
