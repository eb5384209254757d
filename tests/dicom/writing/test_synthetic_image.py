"""Images that a model drew, as DICOM: what they say of themselves, and of nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from isocenter.core.record import RunRecord
from isocenter.dicom.marking import Provenance, is_enhanced
from isocenter.dicom.writing.modules import keywords_of
from isocenter.dicom.writing.synthetic_image import (
    Stored,
    SyntheticImage,
    why_not_of_modality,
    write_synthetic_image,
)

GRAY = Stored(bits=8, bits_stored=8, signed=False)
WIDE = Stored(bits=16, bits_stored=16, signed=True)
HU = Stored(bits=16, bits_stored=16, signed=True, intercept=-1024.0, unit="HU")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
RECORD = RunRecord(
    task="generate",
    product_version="1",
    model_name="brain_t1c",
    model_version="1",
    weights_sha256="ab" * 32,
    settings={"seed": 3, "wish": '{"text": "ein Bündel"}'},
)


def image(stored: Stored = GRAY, **changes: Any) -> SyntheticImage:
    values = np.arange(9 * 7).reshape(9, 7)
    drawn = SyntheticImage(
        pixels=values.astype(stored.dtype),
        stored=stored,
        window=(100.0, 200.0),
        modality="MR",
        body_part="BRAIN",
        title="Brain MR, contrast-enhanced T1",
        number=2,
        spacing_mm=(1.5, 1.25),
        orientation=AXIAL,
    )
    return replace(drawn, **changes)


def written(drawn: SyntheticImage, folder: Path, *, of_modality: bool = False) -> Any:
    provenance = Provenance(record=RECORD, model_description="Drawn from noise.")
    path = write_synthetic_image(
        drawn,
        folder / "0001.dcm",
        provenance=provenance,
        run_digest="cd" * 32,
        of_modality=of_modality,
    )
    return pydicom.dcmread(path)


CASES = {
    "secondary capture": (image(), False),
    "secondary capture, size unknown": (image(spacing_mm=None, orientation=None), False),
    "secondary capture in HU": (image(HU, modality="CT", body_part="CHEST"), False),
    "secondary capture of a part that is not named": (image(body_part=""), False),
    "MR": (image(WIDE), True),
    "CT": (image(HU, modality="CT", body_part="CHEST"), True),
}


@pytest.mark.parametrize("case", CASES)
def test_dciodvfy_finds_no_error(
    case: str, dciodvfy_errors: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    drawn, of_modality = CASES[case]
    written(drawn, tmp_path, of_modality=of_modality)
    assert dciodvfy_errors(tmp_path / "0001.dcm") == []


@pytest.mark.parametrize("case", CASES)
def test_pixels_come_back_and_every_mark_is_there(case: str, tmp_path: Path) -> None:
    drawn, of_modality = CASES[case]
    dataset = written(drawn, tmp_path, of_modality=of_modality)
    np.testing.assert_array_equal(dataset.pixel_array, drawn.pixels)
    assert dataset.SyntheticData == "YES"
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.ImageType[0] == "DERIVED"
    assert dataset.ImageType[3] == "AI_GENERATED"
    assert dataset.BurnedInAnnotation == dataset.RecognizableVisualFeatures == "NO"
    assert dataset.DerivationCodeSequence[0].CodeValue == "GENERATE"
    (equipment,) = dataset.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
    assert equipment.DeviceUID.startswith("2.25.")
    assert "seed=3" in dataset.DerivationDescription
    assert "Bündel" in dataset.DerivationDescription
    assert is_enhanced(dataset)
    for absent in ("SourceImageSequence", "RelatedSeriesSequence", "QualityControlSubject"):
        assert absent not in dataset


def test_it_is_nobodys(tmp_path: Path) -> None:
    dataset = written(image(), tmp_path)
    assert str(dataset.PatientName) == dataset.PatientID == dataset.PatientSex == ""
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.DeidentificationMethod


def test_images_of_a_run_share_a_study_and_nothing_else(tmp_path: Path) -> None:
    first, second = (written(image(number=number), tmp_path) for number in (1, 2))
    again = written(image(number=2), tmp_path)
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert again.SOPInstanceUID == second.SOPInstanceUID
    assert again.SeriesInstanceUID == second.SeriesInstanceUID


def test_classes(tmp_path: Path) -> None:
    capture = written(image(), tmp_path)
    assert capture.SOPClassUID == SecondaryCaptureImageStorage
    assert capture.ConversionType == "SYN"
    assert capture.PixelSpacing == [1.5, 1.25]
    assert "ImageOrientationPatient" not in capture
    mr = written(image(WIDE), tmp_path, of_modality=True)
    assert mr.SOPClassUID == MRImageStorage
    assert mr.RepetitionTime is None
    assert mr.EchoTime is None
    ct = written(image(HU, modality="CT"), tmp_path, of_modality=True)
    assert ct.SOPClassUID == CTImageStorage
    assert (ct.RescaleSlope, ct.RescaleIntercept, ct.RescaleType) == (1, -1024, "HU")
    assert ct.KVP is None


@pytest.mark.parametrize(
    ("modality", "unit", "spacing", "orientation", "words"),
    [
        ("DX", "", True, True, "no equipment took"),
        ("CT", "", True, True, "hold HU"),
        ("MR", "", False, True, "pixel spacing"),
        ("MR", "", True, False, "plane free"),
        ("MR", "", True, True, ""),
    ],
)
def test_what_is_not_known_is_not_claimed(
    modality: str, unit: str, spacing: bool, orientation: bool, words: str
) -> None:
    reason = why_not_of_modality(
        modality, unit=unit, spacing_known=spacing, orientation_known=orientation
    )
    assert words in reason
    assert bool(reason) == bool(words)


@pytest.mark.parametrize("case", ["MR", "CT"])
def test_it_holds_elements_of_its_class_and_no_others(case: str, tmp_path: Path) -> None:
    drawn, of_modality = CASES[case]
    dataset = written(drawn, tmp_path, of_modality=of_modality)
    assert {element.keyword for element in dataset} <= keywords_of(dataset.SOPClassUID)


def test_an_object_of_a_class_without_its_facts_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pixel spacing"):
        written(image(WIDE, spacing_mm=None), tmp_path, of_modality=True)


@pytest.mark.parametrize("stored", [GRAY, WIDE, HU], ids=str)
def test_values_are_stored_within_half_a_step(stored: Stored) -> None:
    low, high = stored.limits
    values = np.array([low, low + 0.4, high, high + 10.0]) * stored.slope + stored.intercept
    integers, num_clipped = stored.of(values)
    assert num_clipped == 1
    np.testing.assert_array_equal(integers, [low, low, high, high])
    np.testing.assert_array_equal(stored.values(integers)[:1], values[:1].astype(np.float32))
