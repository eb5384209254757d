"""From a diffusion study on disk to map, images, mask and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from tests.dicom.diffusion_files import (
    FLUID,
    INFARCT,
    SHAPE,
    TISSUE,
    Weighting,
    adc_of,
    head_of,
    infarct_of,
    signal_of,
    write_study,
    write_weighting,
)

import isocenter
from isocenter.core.errors import InputRefused, UnsuitableScan
from isocenter.dicom.marking import is_enhanced
from isocenter.tasks.run import RunResult

NOISE = 200.0
INFARCT_ML = 4.0


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study", noise=NOISE)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The result of that study, made once."""
    folder = tmp_path_factory.mktemp("adc")
    finished: RunResult = isocenter.adc(write_study(folder / "study", noise=NOISE), folder / "out")
    return finished


def map_of(result: RunResult, name: str) -> NDArray:
    (path,) = result.files[name]
    dataset = dcmread(path)
    pixels = np.frombuffer(dataset.FloatPixelData, "<f4")
    return pixels.reshape(-1, dataset.Rows, dataset.Columns)


def refusal(path: Path, tmp_path: Path, **options: Any) -> InputRefused:
    with pytest.raises(InputRefused) as refused:
        isocenter.adc(path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    return refused.value


def test_the_map_is_the_fit(tmp_path: Path) -> None:
    result = isocenter.adc(write_study(tmp_path / "clean"), tmp_path / "out")
    values = map_of(result, "adc")
    expected = adc_of()
    for adc in (TISSUE, INFARCT, FLUID):
        # Stored integers of the images are rounded to a unit.
        np.testing.assert_allclose(values[expected == adc], adc, rtol=2e-3)
    assert (values[~head_of()] == 0).all()


def test_the_parametric_map_says_what_it_is(result: RunResult) -> None:
    dataset = dcmread(result.files["adc"][0])
    assert list(dataset.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"]
    (mapping,) = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    (unit,) = mapping.MeasurementUnitsCodeSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("um2/s", "UCUM")
    (quantity,) = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence
    assert (quantity.CodeValue, quantity.CodingSchemeDesignator) == ("113041", "DCM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    uncertainty = dcmread(result.files["uncertainty"][0])
    (mapping,) = uncertainty.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    (quantity,) = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence
    assert quantity.CodeValue == "386136009"


def test_images_for_old_viewers_hold_whole_micrometers(result: RunResult) -> None:
    images = [dcmread(path) for path in result.files["adc_images"]]
    values = map_of(result, "adc")
    np.testing.assert_array_equal([one.pixel_array for one in images], np.rint(values))
    first = images[0]
    assert first.SOPClassUID.name == "MR Image Storage"
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "DIFFUSION MAP", "ADC"]
    assert "RescaleSlope" not in first
    (mapping,) = first.RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    (unit,) = mapping.MeasurementUnitsCodeSequence
    assert unit.CodeValue == "um2/s"
    (quantity,) = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence
    assert quantity.CodeValue == "113041"
    assert [float(one.ImagePositionPatient[2]) for one in images] == [20, 25, 30, 35]
    assert first.EchoTime is None


def test_what_is_calculated_from_acquired_images_is_not_synthetic(result: RunResult) -> None:
    source = dcmread(next((result.folder.parent / "study").iterdir()))
    for files in result.files.values():
        dataset = dcmread(files[0])
        assert dataset.SyntheticData == "NO"
        assert dataset.ContentQualification == "RESEARCH"
        assert dataset.StudyInstanceUID == source.StudyInstanceUID
        purposes = [
            item.PurposeOfReferenceCodeSequence[0].CodeValue
            for item in dataset.ContributingEquipmentSequence
        ]
        assert purposes == ["109101", "109102"]
        assert is_enhanced(dataset)
        assert "AI" not in dataset.SeriesDescription.split()
    image = dcmread(result.files["adc_images"][0])
    assert image.DerivationDescription.startswith("Calculated from acquired images")
    assert len(image.SourceImageSequence) == 2
    assert image.SourceImageSequence[0].SpatialLocationsPreserved == "YES"


def test_a_synthetic_source_makes_a_synthetic_map(tmp_path: Path) -> None:
    def mark(dataset: Any, index: int) -> None:
        dataset.SyntheticData = "YES"

    for b_value in (0.0, 1000.0):
        write_weighting(tmp_path / "made", Weighting(b_value=b_value, edit=mark))
    result = isocenter.adc(tmp_path / "made", tmp_path / "out")
    for files in result.files.values():
        assert dcmread(files[0]).SyntheticData == "YES"


def test_the_lesion_is_marked_and_measured(result: RunResult) -> None:
    (path,) = result.files["lesion"]
    mask = hd.seg.segread(path)
    found = np.zeros(SHAPE, bool)
    for group, frame in zip(
        mask.PerFrameFunctionalGroupsSequence, np.atleast_3d(mask.pixel_array), strict=True
    ):
        height_mm = float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        found[round((height_mm - 20) / 5)] = frame > 0
    np.testing.assert_array_equal(found, infarct_of())
    (report,) = result.files["measurements"]
    document = dcmread(report)
    assert document.SOPClassUID.name == "Comprehensive 3D SR Storage"
    volume, adc = numbers_of(document)
    assert volume == ("118565006", INFARCT_ML, "mL")
    assert adc[0] == "113041"
    assert adc[1] == pytest.approx(INFARCT, rel=0.02)
    assert mask.SOPInstanceUID in str(document)
    facts = json.loads((result.folder / "record.json").read_text())["observations"]
    assert facts["lesion_ml"] == INFARCT_ML
    assert facts["num_lesions"] == 1


def numbers_of(document: Any) -> list[tuple[str, float, str]]:
    """Code, value and unit of every measurement of a report."""
    found = []

    def walk(items: Any) -> None:
        for item in items:
            if item.ValueType == "NUM":
                (measured,) = item.MeasuredValueSequence
                found.append(
                    (
                        item.ConceptNameCodeSequence[0].CodeValue,
                        float(measured.NumericValue),
                        measured.MeasurementUnitsCodeSequence[0].CodeValue,
                    )
                )
            walk(item.get("ContentSequence") or ())

    walk(document.ContentSequence)
    return found


def test_a_healthy_head_has_a_volume_of_zero(tmp_path: Path) -> None:
    for b_value in (0.0, 1000.0):
        values = signal_of(b_value, with_infarct=False, noise=NOISE)
        write_weighting(tmp_path / "healthy", Weighting(b_value=b_value, values=values))
    result = isocenter.adc(tmp_path / "healthy", tmp_path / "out")
    document = dcmread(result.files["measurements"][0])
    assert numbers_of(document) == [("118565006", 0.0, "mL")]
    assert not hd.seg.segread(result.files["lesion"][0]).pixel_array.any()
    assert "Nothing was marked" in result.report.read_text()


def test_several_b_values_and_directions_give_one_map(tmp_path: Path) -> None:
    for b_value in (0.0, 500.0):
        write_weighting(tmp_path / "study", Weighting(b_value=b_value))
    for number, direction in enumerate(((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))):
        values = signal_of(1000.0) * np.exp((number - 1) * 0.3)
        weighting = Weighting(b_value=1000.0, values=values, direction=direction)
        write_weighting(tmp_path / "study", weighting)
    result = isocenter.adc(tmp_path / "study", tmp_path / "out")
    np.testing.assert_allclose(map_of(result, "adc")[adc_of() == TISSUE], TISSUE, rtol=2e-3)
    image = dcmread(result.files["adc_images"][0])
    assert len(image.SourceImageSequence) == 5
    assert "weighted squares" in image.DerivationDescription


def test_the_uncertainty_is_that_of_the_noise(result: RunResult) -> None:
    tissue = adc_of() == TISSUE
    error = (map_of(result, "adc") - TISSUE)[tissue]
    told = map_of(result, "uncertainty")[tissue]
    assert np.sqrt(np.mean(error**2)) == pytest.approx(told.mean(), rel=0.25)


def test_the_same_study_gives_the_same_result_again(result: RunResult, tmp_path: Path) -> None:
    study = result.folder.parent / "study"
    assert isocenter.adc(study, result.folder).already_there
    other = isocenter.adc(study, tmp_path / "other")
    for name, files in result.files.items():
        for one, two in zip(files, other.files[name], strict=True):
            assert dcmread(one).SOPInstanceUID == dcmread(two).SOPInstanceUID


def test_the_report_shows_image_map_and_mask(result: RunResult) -> None:
    page = result.report.read_text()
    for words in ("b = 1000", "Marked", "4.0 mL", "without a model", "b-values from"):
        assert words in page


def test_without_b0_it_says_what_is_missing(tmp_path: Path) -> None:
    write_study(tmp_path / "alone", (1000.0,))
    refused = refusal(tmp_path / "alone", tmp_path)
    assert refused.reason == "one_b_value"
    assert "those of b = 0 are missing" in str(refused)


def test_more_voxels_than_the_limits_allow_are_refused(study: Path, tmp_path: Path) -> None:
    limits = isocenter.Limits(volume_voxels=2 * int(np.prod(SHAPE)) - 1)
    assert "limit volume_voxels" in str(refusal(study, tmp_path, limits=limits))


def test_a_volume_file_has_no_b_values(tmp_path: Path) -> None:
    path = tmp_path / "dwi.nii.gz"
    path.write_bytes(b"")
    assert "does not say with which b-value" in str(refusal(path, tmp_path))
    assert "must be a path" in str(refusal(3, tmp_path))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of_weighting", "options", "b_values", "rule"),
    [
        ({}, {"body_part": "KNEE"}, (0.0, 1000.0), "body_part"),
        ({}, {"spacing_mm": (5.0, 12.0, 12.0)}, (0.0, 1000.0), "head"),
        ({}, {}, (0.0, 300.0), "b_values"),
        ({}, {}, (0.0, 3000.0), "b_values"),
        ({"direction": True}, {}, (0.0, 1000.0), "directions"),
        ({"values": signal_of(20.0, noise=NOISE)}, {}, (0.0, 1000.0), "attenuation"),
    ],
)
def test_each_rule_refuses_and_can_be_forced(
    tmp_path: Path,
    of_weighting: dict[str, Any],
    options: dict[str, Any],
    b_values: tuple[float, ...],
    rule: str,
) -> None:
    for b_value in b_values:
        more = dict(of_weighting) if b_value else {}
        if more.pop("direction", False):
            more["direction"] = (0.0, 0.0, 1.0)
        write_weighting(tmp_path / "study", Weighting(b_value=b_value, **more), **options)
    refused = refusal(tmp_path / "study", tmp_path)
    assert isinstance(refused, UnsuitableScan)
    assert (refused.reason, refused.can_be_forced) == (rule, True)
    if rule == "attenuation":
        result = isocenter.adc(tmp_path / "study", tmp_path / "out", force=True)
        assert len(result.warnings) == 1
        image = dcmread(result.files["adc_images"][0])
        assert "WARNING" in image.ImageComments


def test_the_rule_of_lesions_can_be_set(study: Path, tmp_path: Path) -> None:
    result = isocenter.adc(study, tmp_path / "out", smallest_lesion_ml=5)
    facts = json.loads((result.folder / "record.json").read_text())
    assert facts["observations"]["lesion_ml"] == 0
    assert facts["record"]["settings"]["smallest_lesion_ml"] == 5.0
