"""Marks that say that a model made the pixels survive, and so do those of the de-identification."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset

from isocenter.core.outputs import HOUNSFIELD, Code, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.deidentification.keys import SecretKey
from isocenter.deidentification.one_object import Deidentifier
from isocenter.deidentification.options import Options
from isocenter.dicom.marking import CODING_SCHEME, Provenance, is_enhanced
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.uids import CODING_SCHEME_UID
from isocenter.dicom.writing.derived_series import DerivedSeriesWriter
from isocenter.dicom.writing.synthetic_image import Stored, SyntheticImage, write_synthetic_image

Someone = Callable[..., FileDataset]
Save = Callable[[FileDataset, Path], Path]

ENHANCED = SeriesOutput(
    name="enhanced",
    label="Enhanced series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("DLNR", CODING_SCHEME, "Deep learning noise reduction"),
    image_type="AI_ENHANCED",
    flag="AI ENHANCED",
)


def provenance(task: str) -> Provenance:
    record = RunRecord(
        task=task,
        product_version="1",
        model_name="test-model",
        model_version="1",
        weights_sha256="ab" * 32,
        settings={"seed": 7},
    )
    return Provenance(
        record=record,
        model_description="Adds nothing.",
        clock=lambda: datetime(2026, 2, 3, tzinfo=UTC),
    )


@pytest.fixture
def enhanced(tmp_path: Path, someone: Someone, save: Save) -> Path:
    """An image that ``isocenter enhance`` would write of somebody."""
    for number in range(3):
        dataset = someone(
            SOPInstanceUID=f"1.2.826.9.3.{number}",
            ImagePositionPatient=["0", "0", str(number)],
            PatientPosition="HFS",
            InstanceNumber=number + 1,
            AcquisitionDateTime=None,
        )
        save(dataset, tmp_path / "scan" / f"{number}.dcm")
    (tmp_path / "enhanced").mkdir()
    series = open_ct_series(tmp_path / "scan")
    writer = DerivedSeriesWriter(
        series, tmp_path / "enhanced", provenance=provenance("ct_enhance"), output=ENHANCED
    )
    for index in range(3):
        writer.write(index, series.values(index))
    return writer.finish()[0]


def after(path: Path, key: SecretKey, **chosen: Any) -> tuple[Dataset, str]:
    made = Deidentifier(key=key, options=Options(**chosen)).deidentified(path)
    file = io.BytesIO()
    made.write(file)
    return pydicom.dcmread(io.BytesIO(file.getvalue())), made.risk


def equipment(dataset: Dataset) -> dict[str, Dataset]:
    items = dataset.ContributingEquipmentSequence
    return {item.PurposeOfReferenceCodeSequence[0].CodeValue: item for item in items}


def test_an_enhanced_image_still_says_that_a_model_made_it(
    enhanced: Path, key: SecretKey, identifiers: dict[str, str]
) -> None:
    before = pydicom.dcmread(enhanced)
    dataset, risk = after(enhanced, key)
    assert risk == ""
    assert is_enhanced(dataset)
    assert dataset.SyntheticData == before.SyntheticData == "YES"
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.ImageType == ["DERIVED", "SECONDARY", "AXIAL", "AI_ENHANCED"]
    assert dataset.DerivationCodeSequence == before.DerivationCodeSequence
    (scheme,) = dataset.CodingSchemeIdentificationSequence
    assert (scheme.CodingSchemeDesignator, scheme.CodingSchemeUID) == (
        CODING_SCHEME,
        CODING_SCHEME_UID,
    )
    (source, *_), (new, *_) = before.SourceImageSequence, dataset.SourceImageSequence
    assert new.ReferencedSOPInstanceUID == key.uid(source.ReferencedSOPInstanceUID)
    assert new.PurposeOfReferenceCodeSequence == source.PurposeOfReferenceCodeSequence
    assert dataset.ManufacturerModelName == before.ManufacturerModelName
    assert dataset.SoftwareVersions == before.SoftwareVersions
    assert dataset.PixelData == before.PixelData
    assert set(equipment(dataset)) == {"109101", "109102", "109104"}
    model = equipment(dataset)["109102"]
    assert model.Manufacturer == "Isocenter"
    assert model.SoftwareVersions[1].startswith("test-model 1@abab")
    assert model.DeviceUID == key.uid(equipment(before)["109102"].DeviceUID)
    assert identifiers["DeviceSerialNumber"] not in str(dataset)


def test_dciodvfy_finds_no_error_that_the_source_has_not(
    enhanced: Path, key: SecretKey, tmp_path: Path, dciodvfy_errors: Callable[[Path], list[str]]
) -> None:
    for chosen in ({}, {"dates": "modify", "clean_descriptors": True}):
        dataset, _ = after(enhanced, key, **chosen)
        dataset.save_as(tmp_path / "after.dcm")
        new = set(dciodvfy_errors(tmp_path / "after.dcm")) - set(dciodvfy_errors(enhanced))
        assert not new


def test_a_drawn_image_stays_one_of_nobody(tmp_path: Path, key: SecretKey) -> None:
    stored = Stored(bits=8, bits_stored=8, signed=False)
    drawn = SyntheticImage(
        pixels=np.arange(63, dtype=np.uint8).reshape(9, 7),
        stored=stored,
        window=(100.0, 200.0),
        modality="MR",
        body_part="BRAIN",
        title="Brain MR",
        number=2,
        spacing_mm=(1.5, 1.25),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    )
    path = write_synthetic_image(
        drawn, tmp_path / "0001.dcm", provenance=provenance("generate"), run_digest="cd" * 32
    )
    before = pydicom.dcmread(path)
    dataset, risk = after(path, key)
    assert risk == ""
    assert dataset.SyntheticData == "YES"
    assert dataset.ConversionType == before.ConversionType == "SYN"
    assert set(equipment(dataset)) == {"109100", "109104"}
    assert dataset.get("RecognizableVisualFeatures") == before.get("RecognizableVisualFeatures")


def test_what_was_done_is_said_in_codes(enhanced: Path, key: SecretKey) -> None:
    dataset, _ = after(enhanced, key, dates="modify", clean_descriptors=True)
    assert dataset.PatientIdentityRemoved == "YES"
    assert str(dataset.DeidentificationMethod).startswith("Isocenter ")
    codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107"]
    assert "BurnedInAnnotation" not in dataset


def test_a_second_time_adds_what_is_new_and_doubles_nothing(
    enhanced: Path, key: SecretKey, tmp_path: Path
) -> None:
    first, _ = after(enhanced, key, dates="modify", clean_descriptors=True)
    first.save_as(tmp_path / "first.dcm")
    second, _ = after(tmp_path / "first.dcm", key)
    codes = [item.CodeValue for item in second.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107"]
    assert second.LongitudinalTemporalInformationModified == "REMOVED"
    assert second.DeidentificationMethod == first.DeidentificationMethod
    assert list(equipment(second)) == list(equipment(first))
    third, _ = after(tmp_path / "first.dcm", key, dates="keep")
    assert third.LongitudinalTemporalInformationModified == "MODIFIED"


def test_heads_are_said_to_be_recognizable(
    someone: Someone, save: Save, key: SecretKey, tmp_path: Path
) -> None:
    head = save(someone(BodyPartExamined="HEAD"), tmp_path / "head.dcm")
    defaced = someone(BodyPartExamined="HEAD", RecognizableVisualFeatures="NO")
    chest = save(someone(), tmp_path / "chest.dcm")
    assert after(head, key)[0].RecognizableVisualFeatures == "YES"
    path = save(defaced, tmp_path / "defaced.dcm")
    assert after(path, key)[0].RecognizableVisualFeatures == "NO"
    assert "RecognizableVisualFeatures" not in after(chest, key)[0]
