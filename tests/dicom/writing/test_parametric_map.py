"""Parametric maps: values, unit and meaning, place, and constant memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.acquisition import MrAcquisition
from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import Provenance
from isocenter.dicom.reading.open import CtSeries, open_ct_series
from isocenter.dicom.writing.new_grid import NewGrid
from isocenter.dicom.writing.parametric_map import ParametricMapWriter

DESCRIPTION = "Half-width of the 90 % prediction interval, in HU"
OUTPUT = MapOutput(
    name="uncertainty",
    label="Uncertainty map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation"),
    content_label="UNCERTAINTY",
    meaning=DESCRIPTION,
    quantity=Code("PIHW90", "99ISOCENTER", "Half-width of 90 % prediction interval"),
)


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


def write(place: CtSeries | NewGrid, folder: Path, *, chunk: int = 64) -> list[Path]:
    folder.mkdir(exist_ok=True)
    writer = ParametricMapWriter(place, folder, provenance=provenance(), output=OUTPUT, chunk=chunk)
    count, *shape = place.geometry.shape
    for index in range(count):
        writer.write(index, map_of(index, tuple(shape)))
    return writer.finish()


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
    writer = ParametricMapWriter(series, tmp_path, provenance=provenance(), output=OUTPUT, chunk=2)
    there = []
    for index in range(len(series)):
        there.append(len(list(tmp_path.glob("*.dcm"))))
        writer.write(index, map_of(index, series.geometry.shape[1:]))
    assert there == [0, 0, 1, 1, 2]


def test_slices_may_come_in_any_order(series: CtSeries, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    writer = ParametricMapWriter(
        series, tmp_path / "a", provenance=provenance(), output=OUTPUT, chunk=2
    )
    for index in (3, 0, 4, 2, 1):
        writer.write(index, map_of(index, series.geometry.shape[1:]))
    in_order = write(series, tmp_path / "b", chunk=2)
    assert [path.read_bytes() for path in writer.finish()] == [
        path.read_bytes() for path in in_order
    ]


def test_maps_and_slices_must_match(series: CtSeries, tmp_path: Path) -> None:
    writer = ParametricMapWriter(series, tmp_path, provenance=provenance(), output=OUTPUT)
    image = map_of(0, series.geometry.shape[1:])
    for index in range(4):
        writer.write(index, image)
    with pytest.raises(ValueError, match="1 of 5 maps"):
        writer.finish()
    with pytest.raises(ValueError, match="already"):
        writer.write(2, image)
    with pytest.raises(ValueError, match="there are 5"):
        writer.write(5, image)
    with pytest.raises(ValueError, match="rows and columns"):
        writer.write(4, image.T)
    with pytest.raises(ValueError, match="finite"):
        writer.write(4, image * np.nan)


def test_a_map_may_lie_on_a_grid_of_its_own(
    series: CtSeries, tmp_path: Path, dciodvfy_errors: Any
) -> None:
    half_turned = Geometry(
        shape=(3, 6, 7),
        spacing_mm=(2.0, 1.5, 0.5),
        origin_mm=(-70.0, -80.0, -699.0),
        slice_direction=(0.0, 0.6, 0.8),
        row_direction=(0.0, 0.8, -0.6),
    )
    for name, sources in (("a", ()), ("b", (series,))):
        grid = NewGrid(geometry=half_turned, acquisition=MrAcquisition(), sources=sources)
        (path,) = write(grid, tmp_path / name)
        dataset = pydicom.dcmread(path)
        assert dciodvfy_errors(path) == []
        for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            position_mm = group.PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(position_mm, half_turned.position_mm(index), atol=1e-6)
        np.testing.assert_array_equal(dataset.pixel_array[2], map_of(2, (6, 7)))
        referenced = group.DerivationImageSequence[0].SourceImageSequence
        assert bool(referenced) == bool(sources)
    assert dataset.FrameOfReferenceUID == series.header(0).FrameOfReferenceUID


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


def test_dciodvfy_finds_no_error(series: CtSeries, tmp_path: Path, dciodvfy_errors: Any) -> None:
    (path,) = write(series, tmp_path)
    assert dciodvfy_errors(path) == []
