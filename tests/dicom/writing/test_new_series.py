"""New series: values within half a step, places, marks, references, nobody's patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.acquisition import Acquisition, CtAcquisition, MrAcquisition
from isocenter.core.errors import OutputRefused
from isocenter.core.outputs import (
    HOUNSFIELD,
    NO_UNIT,
    SQUARE_MICROMETERS_PER_SECOND,
    Code,
    SeriesOutput,
)
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import Provenance, is_enhanced
from isocenter.dicom.reading.open import CtSeries, ImageSeries, open_ct_series, open_series
from isocenter.dicom.writing.new_series import NewSeriesWriter
from isocenter.dicom.writing.study import Subject

Judge = Callable[[Path], list[str]]

SYNTHESIS = Code("DLSY", "99ISOCENTER", "Deep learning synthesis")
CT = SeriesOutput(
    name="made",
    label="Made CT",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=SYNTHESIS,
    flag="SYNTHETIC CT",
    absolute=True,
)
MR = replace(CT, modality="MR", label="Made MR", unit=NO_UNIT, flag="SYNTHETIC MR")
ADC = replace(MR, name="adc", unit=SQUARE_MICROMETERS_PER_SECOND, image_flavor="DIFFUSION MAP")
SHAPE = (3, 5, 7)
OBLIQUE = Geometry(
    shape=SHAPE,
    spacing_mm=(2.5, 0.4, 1.0 / 3.0),
    origin_mm=(-12.25, 7.125, 301.5),
    slice_direction=(0.0, 0.6, 0.8),
    row_direction=(0.0, 0.8, -0.6),
    column_direction=(1.0, 0.0, 0.0),
)


def provenance(**settings: Any) -> Provenance:
    record = RunRecord(
        task="mr_synthesis",
        product_version="0.1.0",
        model_name="test-model",
        model_version="1",
        weights_sha256="ab" * 32,
        settings={"seed": 7, **settings},
    )
    return Provenance(
        record=record,
        model_description="A test.",
        clock=lambda: datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    )


def write(
    folder: Path,
    values: NDArray,
    output: SeriesOutput,
    *,
    geometry: Geometry = OBLIQUE,
    sources: Sequence[ImageSeries] = (),
    subject: Subject | None = None,
    valid: NDArray | None = None,
    order: Sequence[int] | None = None,
    **settings: Any,
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    acquisition: Acquisition = MrAcquisition(echo_time_ms=90.0, body_part="BRAIN")
    if output.modality == "CT":
        acquisition = CtAcquisition(body_part="CHEST", slice_thickness_mm=3.0)
    writer = NewSeriesWriter(
        folder,
        geometry=geometry,
        acquisition=acquisition,
        provenance=provenance(**settings),
        output=output,
        sources=sources,
        subject=subject,
    )
    for index in order or range(len(values)):
        writer.write(index, values[index], valid=None if valid is None else valid[index])
    return writer.finish()


def read(folder: Path, output: SeriesOutput) -> ImageSeries:
    return open_series(folder, modality=output.modality, accept_enhanced=True)  # type: ignore[arg-type]


def values_of(series: ImageSeries) -> NDArray:
    return np.stack([series.values(index) for index in range(len(series))])


def image_values(seed: int = 0, *, scale: float = 100.0) -> NDArray:
    return (np.random.default_rng(seed).normal(0, scale, SHAPE)).astype(np.float32)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Boxes of three different spacings, turned about two axes."""
    turn, tilt = draw(st.floats(-3, 3)), draw(st.floats(-1.5, 1.5))
    about_z = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    columns, rows, slices = (about_x @ about_z).T
    spacings = st.floats(0.1, 8.0)
    return Geometry(
        shape=SHAPE,
        spacing_mm=(draw(spacings), draw(spacings), draw(spacings)),
        origin_mm=tuple(draw(st.floats(-900, 900)) for _ in range(3)),  # type: ignore[arg-type]
        slice_direction=tuple(slices.tolist()),
        row_direction=tuple(rows.tolist()),
        column_direction=tuple(columns.tolist()),
    )


@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    geometry=geometries(),
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1e-6, 0.02, 1.0, 300.0, 1e7]),
    output=st.sampled_from([CT, MR, ADC]),
)
def test_values_and_places_come_back(
    geometry: Geometry, seed: int, scale: float, output: SeriesOutput
) -> None:
    values = image_values(seed, scale=min(scale, 300.0) if output.modality == "CT" else scale)
    with TemporaryDirectory() as folder:
        write(Path(folder), values, output, geometry=geometry)
        series = read(Path(folder), output)
        assert series.unit == ("HU" if output is CT else "")
        assert series.acquisition.modality == output.modality
        half_step = series.slope(0) / 2 * (1 + 1e-4)
        assert half_step <= max(np.abs(values).max() / 65000, 0.51 if output is CT else 0)
        np.testing.assert_allclose(values_of(series), values, rtol=2e-7, atol=half_step)
        for place in ((0, 0, 0), (2, 0, 6), (1, 4, 3)):
            np.testing.assert_allclose(
                series.geometry.position_mm(*place), geometry.position_mm(*place), atol=1e-3
            )


def test_whole_numbers_that_fit_are_stored_as_they_are(tmp_path: Path) -> None:
    values = np.rint(image_values(scale=3000))
    path = write(tmp_path, values, MR)[1]
    image = pydicom.dcmread(path)
    np.testing.assert_array_equal(image.pixel_array, values[1])
    assert "RescaleSlope" not in image


def test_one_series_has_one_scale_and_zero_stays_zero(tmp_path: Path) -> None:
    values = image_values(scale=0.1)
    values[1] /= 50
    values[:, 0] = 0
    paths = write(tmp_path, values, MR)
    images = [pydicom.dcmread(path) for path in paths]
    assert len({image.RescaleSlope for image in images}) == 1
    assert all(image.RescaleIntercept == 0 for image in images)
    assert np.all(images[1].pixel_array[0] == 0)


def test_order_does_not_matter_and_nothing_else_stays_in_the_folder(tmp_path: Path) -> None:
    first = write(tmp_path / "a", image_values(), MR)
    second = write(tmp_path / "b", image_values(), MR, order=[2, 0, 1])
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted((tmp_path / "b").iterdir()) == second


def test_what_is_beyond_sixteen_bits_is_clipped_and_counted(tmp_path: Path) -> None:
    writer = NewSeriesWriter(
        tmp_path,
        geometry=OBLIQUE,
        acquisition=CtAcquisition(),
        provenance=provenance(),
        output=CT,
    )
    image = np.zeros(SHAPE[1:])
    image[0, :2] = 1e6, -1e6
    assert [writer.write(index, image) for index in range(3)] == [2, 2, 2]
    assert writer.num_clipped == 6
    assert pydicom.dcmread(writer.finish()[0]).pixel_array[0, :2].tolist() == [32767, -32768]


@pytest.mark.parametrize("output", [CT, MR], ids=["CT", "MR"])
def test_pixels_without_a_value_become_padding(output: SeriesOutput, tmp_path: Path) -> None:
    values, valid = image_values(), np.ones(SHAPE, bool)
    valid[:, 1:3, 2:] = False
    values[~valid] = np.nan
    values[0, 4, 4] = -3024  # would read as padding
    write(tmp_path, values, output, valid=valid)
    series = read(tmp_path, output)
    for index in range(len(series)):
        np.testing.assert_array_equal(series.valid(index), valid[index])
    step = series.slope(0)
    np.testing.assert_allclose(values_of(series)[valid], values[valid], rtol=0, atol=step)


def test_a_unit_is_written_where_there_is_one(tmp_path: Path) -> None:
    image = pydicom.dcmread(write(tmp_path / "adc", np.abs(image_values()), ADC)[0])
    (mapping,) = image.RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "um2/s"
    assert mapping.RealWorldValueSlope == image.RescaleSlope
    assert image.ImageType == ["DERIVED", "SECONDARY", "DIFFUSION MAP"]
    without = pydicom.dcmread(write(tmp_path / "mr", image_values(), MR)[0])
    assert "RealWorldValueMappingSequence" not in without


def test_no_sequence_is_claimed_that_never_ran(tmp_path: Path) -> None:
    image = pydicom.dcmread(write(tmp_path, image_values(), MR)[0])
    assert (image.ScanningSequence, image.SequenceVariant) == ("RM", "NONE")
    for keyword in ("RepetitionTime", "EchoTime", "EchoTrainLength"):
        assert image[keyword].value is None
    assert "InversionTime" not in image


@pytest.mark.parametrize("output", [CT, MR, ADC], ids=["CT", "MR", "ADC"])
def test_made_from_nothing_is_nobodys(
    output: SeriesOutput, tmp_path: Path, dciodvfy_errors: Judge
) -> None:
    path = write(tmp_path, image_values(), output, subject=Subject(case="0001"))[0]
    image = pydicom.dcmread(path)
    assert image.PatientName == "SYNTHETIC^CASE 0001"
    assert image.PatientID == "SYN-0001"
    assert image.IssuerOfPatientID == "ISOCENTER"
    assert not image.PatientBirthDate
    assert "QualityControlSubject" not in image
    assert image.SyntheticData == "YES"
    assert image.ContentQualification == "RESEARCH"
    assert image.SeriesDescription.startswith("SYNTHETIC")
    assert "SourceImageSequence" not in image
    (model,) = image.ContributingEquipmentSequence
    assert model.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
    assert model.Manufacturer == "Isocenter"
    assert is_enhanced(image)
    assert dciodvfy_errors(path) == []


def test_cases_of_one_run_are_different_people(tmp_path: Path) -> None:
    images = []
    for case in ("0001", "0002"):
        path = write(tmp_path / case, image_values(), CT, subject=Subject(case=case))[0]
        images.append(pydicom.dcmread(path))
    for keyword in """PatientID StudyInstanceUID SeriesInstanceUID SOPInstanceUID
    FrameOfReferenceUID""".split():
        assert images[0][keyword].value != images[1][keyword].value


@pytest.fixture
def source(write_classic_ct: Any) -> CtSeries:
    def add(dataset: Dataset, index: int) -> None:
        dataset.IssuerOfPatientID = "HOSPITAL"
        dataset.RecognizableVisualFeatures = "YES"
        dataset.LossyImageCompression = "01" if index == 1 else "00"

    scan = write_classic_ct(shape=(5, 14, 12), edit=add)
    return open_ct_series(scan.folder)


@pytest.mark.parametrize("output", [CT, MR], ids=["CT", "MR"])
def test_made_from_a_scan_belongs_to_its_patient(
    source: CtSeries, output: SeriesOutput, tmp_path: Path, dciodvfy_errors: Judge
) -> None:
    values = np.zeros(source.geometry.shape)
    paths = write(tmp_path, values, output, geometry=source.geometry, sources=[source])
    header = source.header(0)
    for index, image in enumerate(map(pydicom.dcmread, paths)):
        for keyword in """PatientName PatientID IssuerOfPatientID StudyInstanceUID StudyDate
        FrameOfReferenceUID BodyPartExamined RecognizableVisualFeatures""".split():
            assert image[keyword].value == header[keyword].value
        (used,) = image.SourceImageSequence
        assert used.ReferencedSOPInstanceUID == source.sop_instance_uids[index]
        assert used.SpatialLocationsPreserved == "YES"
        assert image.LossyImageCompression == ("01" if index == 1 else "00")
    scanner, model = image.ContributingEquipmentSequence
    assert scanner.Manufacturer == "Seeded Scanners"
    assert model.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
    assert image.Manufacturer == "Isocenter"
    assert int(image.SeriesNumber) == 9003
    assert [dciodvfy_errors(path) for path in paths[:1]] == [[]]


def test_a_grid_of_its_own_names_the_slices_it_lies_in(source: CtSeries, tmp_path: Path) -> None:
    first_mm = source.geometry.position_mm(1)
    geometry = replace(
        source.geometry,
        shape=(2, 9, 8),
        spacing_mm=(5.0, 1.0, 1.0),
        origin_mm=tuple(first_mm),
    )
    paths = write(tmp_path, np.zeros((2, 9, 8)), CT, geometry=geometry, sources=[source])
    for path, expected in zip(paths, ([1, 0, 2], [3, 2, 4]), strict=True):
        items = pydicom.dcmread(path).SourceImageSequence
        uids = [source.sop_instance_uids[index] for index in expected]
        assert [item.ReferencedSOPInstanceUID for item in items] == uids
        assert {item.SpatialLocationsPreserved for item in items} == {"NO"}


def test_sources_of_other_studies_are_named_as_such(
    source: CtSeries, write_enhanced_ct: Any, tmp_path: Path, dciodvfy_errors: Judge
) -> None:
    def same_frame(dataset: Dataset, index: int) -> None:
        dataset.FrameOfReferenceUID = source.header(0).FrameOfReferenceUID

    other = open_ct_series(write_enhanced_ct(shape=(5, 14, 12), seed=9, edit=same_frame).folder)
    values = np.zeros(source.geometry.shape)
    path = write(tmp_path, values, MR, geometry=source.geometry, sources=[source, other])[2]
    image = pydicom.dcmread(path)
    (own,) = image.ReferencedSeriesSequence
    assert own.SeriesInstanceUID == source.series_instance_uid
    (study,) = image.StudiesContainingOtherReferencedInstancesSequence
    assert study.StudyInstanceUID == other.header(0).StudyInstanceUID
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == other.series_instance_uid
    assert image.SourceImageSequence[1].ReferencedFrameNumber == 3
    assert dciodvfy_errors(path) == []


def test_a_source_of_another_frame_of_reference_is_named_whole(
    source: CtSeries, write_classic_ct: Any, tmp_path: Path
) -> None:
    other = open_ct_series(write_classic_ct(shape=(5, 14, 12), seed=9).folder)
    values = np.zeros(source.geometry.shape)
    path = write(tmp_path, values, MR, geometry=source.geometry, sources=[source, other])[2]
    items = pydicom.dcmread(path).SourceImageSequence
    assert [item.SpatialLocationsPreserved for item in items] == ["YES", *["NO"] * 5]
    assert [item.ReferencedSOPInstanceUID for item in items[1:]] == other.sop_instance_uids


def test_a_grid_of_the_other_hand_keeps_every_value_at_its_place(tmp_path: Path) -> None:
    mirrored = replace(OBLIQUE, slice_direction=tuple(-np.array(OBLIQUE.slice_direction)))
    values = np.rint(image_values())
    write(tmp_path, values, CT, geometry=mirrored)
    series = read(tmp_path, CT)
    for index in range(3):
        np.testing.assert_array_equal(series.values(index), values[2 - index])
        np.testing.assert_allclose(
            series.geometry.position_mm(index), mirrored.position_mm(2 - index), atol=1e-6
        )


def test_a_second_run_gives_the_same_files_and_another_seed_other_uids(
    source: CtSeries, tmp_path: Path
) -> None:
    for sources in ((), (source,)):
        folder = tmp_path / str(len(sources))
        first = write(folder / "a", image_values(), MR, sources=sources)
        second = write(folder / "b", image_values(), MR, sources=sources)
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        other = pydicom.dcmread(write(folder / "c", image_values(), MR, sources=sources, seed=8)[0])
        same = pydicom.dcmread(first[0])
        assert other.SOPInstanceUID != same.SOPInstanceUID
        assert other.SeriesInstanceUID != same.SeriesInstanceUID


def test_equal_geometries_give_equal_uids_whatever_their_numbers_are(tmp_path: Path) -> None:
    as_arrays = replace(OBLIQUE, origin_mm=tuple(np.array(OBLIQUE.origin_mm)))
    first = write(tmp_path / "a", image_values(), CT)
    second = write(tmp_path / "b", image_values(), CT, geometry=as_arrays)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_wrong_slices_units_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds HU"):
        write(tmp_path, image_values(), replace(CT, unit=NO_UNIT))
    with pytest.raises(ValueError, match="CT and MR"):
        write(tmp_path, image_values(), replace(CT, modality="PT"))
    with pytest.raises(ValueError, match="rows and columns"):
        write(tmp_path, image_values().transpose(0, 2, 1), MR)
    sheared = replace(OBLIQUE, slice_direction=(0.0, 0.5, np.sqrt(0.75)))
    with pytest.raises(ValueError, match="perpendicular"):
        write(tmp_path, image_values(), MR, geometry=sheared)
    with pytest.raises(ValueError, match="32 letters"):
        Subject(case="0001^Jane")
    with pytest.raises(ValueError, match="finite"):
        write(tmp_path, image_values() * np.inf, CT)
    with pytest.raises(ValueError, match="1 of 3 slices"):
        write(tmp_path, image_values()[:2], MR)
    write(tmp_path / "taken", image_values(), CT)
    with pytest.raises(OutputRefused):
        write(tmp_path / "taken", image_values(), CT)
