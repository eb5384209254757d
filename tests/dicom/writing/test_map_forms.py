"""A map for viewers that know no Parametric Map: 16-bit images with a scale, and colors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from isocenter.core.acquisition import Acquisition
from isocenter.core.errors import OutputRefused
from isocenter.core.outputs import (
    HOUNSFIELD,
    SQUARE_MICROMETERS_PER_SECOND,
    Code,
    MapImages,
    MapOutput,
    MapPictures,
)
from isocenter.core.record import RunRecord
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import Provenance, is_enhanced
from isocenter.dicom.reading.open import CtSeries, open_ct_series
from isocenter.dicom.writing.map_images import map_images_writer
from isocenter.dicom.writing.map_pictures import MapPicturesWriter
from isocenter.dicom.writing.modules import keywords_of
from isocenter.dicom.writing.new_grid import NewGrid

Write = Callable[..., Any]
Judge = Callable[[Path], list[str]]
MAP = MapOutput(
    name="uncertainty",
    label="Uncertainty map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation"),
    content_label="UNCERTAINTY_90",
    meaning="Half-width in HU of the 90 % interval.",
    quantity=Code("PIHW90", "99ISOCENTER", "Half-width of 90 % prediction interval"),
    window=(0.0, 40.0),
)
SHAPE = (3, 24, 20)
VALUES = np.random.default_rng(0).gamma(2.0, 5.0, SHAPE).astype(np.float32)
LEGEND_ROWS = 7


def provenance() -> Provenance:
    record = RunRecord(
        task="ct_enhance",
        product_version="0.1.0",
        model_name="m",
        model_version="1",
        weights_sha256="ab" * 32,
    )
    return Provenance(
        record=record,
        model_description="A test.",
        clock=lambda: datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    )


@pytest.fixture(params=["classic", "enhanced", "legacy"])
def series(
    request: pytest.FixtureRequest, write_classic_ct: Write, write_enhanced_ct: Write
) -> Any:
    if request.param == "classic":
        return open_ct_series(write_classic_ct(shape=SHAPE).folder)
    legacy = request.param == "legacy"
    return open_ct_series(write_enhanced_ct(shape=SHAPE, legacy=legacy, shuffle=True).folder)


def nowhere(modality: str = "CT") -> NewGrid:
    geometry = Geometry(shape=SHAPE, spacing_mm=(2.0, 1.0, 1.0))
    return NewGrid(geometry=geometry, acquisition=Acquisition(modality=modality))


def images(place: CtSeries | NewGrid, folder: Path, of_map: MapOutput = MAP) -> list[Dataset]:
    folder.mkdir(exist_ok=True)
    output = MapImages(map=of_map)
    writer = map_images_writer(place, folder, provenance=provenance(), output=output)
    for index, values in enumerate(VALUES):
        writer.write(index, values)
    return [pydicom.dcmread(path) for path in writer.finish()]


def picture(index: int) -> NDArray:
    rows, columns = SHAPE[1] + LEGEND_ROWS, SHAPE[2]
    return np.random.default_rng(index).integers(0, 256, (rows, columns, 3)).astype(np.uint8)


def pictures(place: CtSeries | NewGrid, folder: Path) -> list[Dataset]:
    folder.mkdir(exist_ok=True)
    writer = MapPicturesWriter(
        place, folder, provenance=provenance(), output=MapPictures(map=MAP, behind="enhanced")
    )
    for index in range(SHAPE[0]):
        writer.write(index, picture(index))
    return [pydicom.dcmread(path) for path in writer.finish()]


def values_of(image: Dataset) -> NDArray:
    slope, intercept = float(image.RescaleSlope), float(image.RescaleIntercept)
    return np.asarray(image.pixel_array * slope + intercept)


def test_images_give_the_values_in_their_unit(series: CtSeries, tmp_path: Path) -> None:
    written = images(series, tmp_path / "out")
    slopes = {float(image.RescaleSlope) for image in written}
    (slope,) = slopes
    assert slope < 1.001 * VALUES.max() / 32767
    for image, values in zip(written, VALUES, strict=True):
        np.testing.assert_allclose(values_of(image), values, atol=slope * 0.501)
        assert image.RescaleType == "HU"
        (meaning,) = image.RealWorldValueMappingSequence
        assert meaning.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
        assert meaning.RealWorldValueSlope == slope
        quantity = meaning.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
        assert quantity.CodeValue == "PIHW90"
        assert (image.WindowCenter, image.WindowWidth) == (20, 40)


def test_images_say_what_they_are_and_lie_where_the_slices_lie(
    series: CtSeries, tmp_path: Path
) -> None:
    written = images(series, tmp_path / "out")
    assert len({image.SeriesInstanceUID for image in written}) == 1
    for index, image in enumerate(written):
        source = series.header(index)
        assert image.SOPClassUID == CTImageStorage
        assert image.ImageType == ["DERIVED", "SECONDARY", "AXIAL", "UNCERTAINTY_90"]
        assert (image.Modality, image.SyntheticData) == ("CT", "YES")
        assert image.SeriesDescription.startswith("AI UNCERTAINTY_90")
        assert image.ImageComments.startswith(MAP.meaning)
        assert image.FrameOfReferenceUID == source.FrameOfReferenceUID
        assert image.PatientID == source.PatientID
        assert int(image.SeriesNumber) == 10503
        np.testing.assert_allclose(
            [float(part) for part in image.ImagePositionPatient], series.positions_mm[index]
        )
        (used,) = image.SourceImageSequence
        assert used.ReferencedSOPInstanceUID == series.sop_instance_uids[index]
        assert used.SpatialLocationsPreserved == "YES"
        assert is_enhanced(image)
        assert {element.keyword for element in image} <= keywords_of(CTImageStorage)


def test_pictures_are_colors_in_the_place_of_the_slices(series: CtSeries, tmp_path: Path) -> None:
    for index, image in enumerate(pictures(series, tmp_path / "out")):
        np.testing.assert_array_equal(image.pixel_array, picture(index))
        assert image.SOPClassUID == SecondaryCaptureImageStorage
        assert image.PhotometricInterpretation == "RGB"
        assert image.ImageType == ["DERIVED", "SECONDARY", "OTHER", "UNCERTAINTY_90"]
        assert (image.Modality, image.ConversionType) == ("OT", "WSD")
        assert image.SyntheticData == "YES"
        assert image.ContentQualification == "RESEARCH"
        assert image.Manufacturer == image.SecondaryCaptureDeviceManufacturer == "Isocenter"
        assert image.SeriesDescription.startswith("AI UNCERTAINTY_90 COLOR")
        assert "not for measuring" in image.ImageComments
        assert list(image.PatientOrientation) == ["L", "P"]
        assert int(image.SeriesNumber) == 11003
        assert "RescaleSlope" not in image
        np.testing.assert_allclose(
            [float(part) for part in image.ImagePositionPatient], series.positions_mm[index]
        )
        assert is_enhanced(image)


@pytest.mark.parametrize("stated", ["YES", "NO", None])
def test_what_is_drawn_in_identifies_nobody_and_what_was_there_may(
    write_classic_ct: Write, tmp_path: Path, stated: str | None
) -> None:
    def edit(dataset: Dataset, index: int) -> None:
        if stated:
            dataset.BurnedInAnnotation = stated

    series = open_ct_series(write_classic_ct(shape=SHAPE, edit=edit).folder)
    for image in pictures(series, tmp_path / "out"):
        assert image.get("BurnedInAnnotation") == stated


def test_an_oblique_slice_has_its_directions_in_letters(
    write_classic_ct: Write, tmp_path: Path
) -> None:
    orientation = (0.0, 0.8, -0.6, -1.0, 0.0, 0.0)
    series = open_ct_series(write_classic_ct(shape=SHAPE, orientation=orientation).folder)
    assert list(pictures(series, tmp_path / "out")[0].PatientOrientation) == ["PF", "R"]


def test_a_map_of_mr_keeps_its_own_unit(tmp_path: Path) -> None:
    of_map = replace(
        MAP, modality="MR", unit=SQUARE_MICROMETERS_PER_SECOND, content_label="ADC_WIDTH"
    )
    for image, values in zip(images(nowhere("MR"), tmp_path, of_map), VALUES, strict=True):
        assert image.SOPClassUID == MRImageStorage
        assert image.RescaleType == "US"
        (meaning,) = image.RealWorldValueMappingSequence
        assert meaning.MeasurementUnitsCodeSequence[0].CodeValue == "um2/s"
        np.testing.assert_allclose(values_of(image), values, atol=float(image.RescaleSlope))


def test_a_second_run_gives_the_same_files(write_classic_ct: Write, tmp_path: Path) -> None:
    series = open_ct_series(write_classic_ct(shape=SHAPE).folder)
    for make in (images, pictures):
        first, second = (make(series, tmp_path / f"{make.__name__}{name}") for name in "ab")
        assert first == second


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((23, 20, 3), np.uint8),
        np.zeros((24, 21, 3), np.uint8),
        np.zeros((24, 20), np.uint8),
        np.zeros((24, 20, 3), np.float32),
    ],
    ids=["short", "wide", "gray", "float"],
)
def test_what_is_no_picture_of_the_slice_is_refused(tmp_path: Path, wrong: NDArray) -> None:
    output = MapPictures(map=MAP)
    writer = MapPicturesWriter(nowhere(), tmp_path, provenance=provenance(), output=output)
    with pytest.raises(ValueError, match="as many columns and 3 colors"):
        writer.write(0, wrong)
    writer.write(0, picture(0))
    with pytest.raises(ValueError, match="2 of 3 pictures"):
        writer.finish()
    with pytest.raises(OutputRefused, match="empty"):
        MapPicturesWriter(nowhere(), tmp_path, provenance=provenance(), output=output)


@pytest.mark.parametrize("write", [images, pictures])
def test_dciodvfy_finds_no_error(
    series: CtSeries, tmp_path: Path, dciodvfy_errors: Judge, write: Any
) -> None:
    for place, name in ((series, "series"), (nowhere(), "nowhere")):
        write(place, tmp_path / name)
        paths = sorted((tmp_path / name).iterdir())
        assert [dciodvfy_errors(path) for path in paths] == [[]] * SHAPE[0]
