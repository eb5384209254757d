"""Marks that survive what happens to an object on its way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput, MaskOutput, SeriesOutput
from isocenter.core.record import RunRecord
from isocenter.dicom.marking import (
    AI_ENHANCED,
    DEIDENTIFYING_EQUIPMENT,
    PROCESSING_EQUIPMENT,
    PRODUCT,
    SYNTHESIZING_EQUIPMENT,
    Provenance,
    code_item,
    derivation_text,
    is_enhanced,
    mark,
)
from isocenter.dicom.reading.open import open_ct_series
from isocenter.dicom.uids import (
    CODING_SCHEME_UID,
    IMPLEMENTATION_CLASS_UID,
    derived_uid,
    device_uid,
)
from isocenter.dicom.writing.derived_series import DerivedSeriesWriter
from isocenter.dicom.writing.new_series import NewSeriesWriter
from isocenter.dicom.writing.parametric_map import ParametricMapWriter
from isocenter.dicom.writing.segmentation import SegmentationWriter

NOISE_REDUCTION = Code("DLNR", "99ISOCENTER", "Deep learning noise reduction")
UNCERTAINTY_ESTIMATION = Code("DLUQ", "99ISOCENTER", "Deep learning uncertainty estimation")
HALF_WIDTH = Code("PIHW90", "99ISOCENTER", "Half-width of 90 % prediction interval")
ENHANCED = SeriesOutput(
    name="enhanced",
    label="Enhanced series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=NOISE_REDUCTION,
    image_type=AI_ENHANCED,
)
MAP = MapOutput(
    name="map",
    label="Map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=UNCERTAINTY_ESTIMATION,
    content_label="MAP",
    meaning="Ones.",
    quantity=HALF_WIDTH,
)
MASK = MaskOutput(
    name="mask",
    label="Mask",
    derivation=UNCERTAINTY_ESTIMATION,
    category=Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    kind=Code("52988006", "SCT", "Lesion"),
)

# What the Basic Profile of PS3.15 removes of what we write (Table E.1-1, 2024e).
REMOVED_BY_BASIC_PROFILE = """
DerivationDescription SeriesDescription StudyDescription ImageComments ContributionDescription
ContributionDateTime SourceImageSequence ReferencedSeriesSequence RelatedSeriesSequence StationName
InstitutionName DeviceSerialNumber InstanceCreatorUID
""".split()
MADE_AT = datetime(2026, 1, 2, tzinfo=UTC)


def provenance(**changes: Any) -> Provenance:
    record = RunRecord(
        task="ct_enhance",
        product_version="0.1.0",
        model_name="test-model",
        model_version="1",
        weights_sha256="ab" * 32,
        settings={"strength": 1.0},
    )
    options: dict[str, Any] = {"record": record, "model_description": "A test."}
    return Provenance(**(options | changes))


def equipment(manufacturer: str, purpose: Code) -> Dataset:
    item = Dataset()
    item.Manufacturer = manufacturer
    item.PurposeOfReferenceCodeSequence = [code_item(purpose)]
    return item


def deidentified(dataset: Dataset) -> Dataset:
    """Without texts, dates, private elements and with other UIDs, also inside sequences."""

    def clean(part: Dataset, element: Any) -> None:
        if element.keyword in REMOVED_BY_BASIC_PROFILE or element.tag.is_private:
            del part[element.tag]
        elif element.VR == "UI" and element.keyword not in ("SOPClassUID", "CodingSchemeUID"):
            element.value = derived_uid("deidentified", str(element.value))

    dataset.walk(clean)
    return dataset


@pytest.mark.parametrize("kind", ["classic", "enhanced", "map", "mask", "new", "from nothing"])
def test_marks_survive_deidentification(
    write_classic_ct: Any, write_enhanced_ct: Any, tmp_path: Path, kind: str
) -> None:
    scan = (write_enhanced_ct if kind == "enhanced" else write_classic_ct)(shape=(3, 12, 10))
    series = open_ct_series(scan.folder)
    writer: Any
    if kind == "map":
        writer = ParametricMapWriter(series, tmp_path, provenance=provenance(), output=MAP)
    elif kind == "mask":
        writer = SegmentationWriter(series, tmp_path, provenance=provenance(), output=MASK)
    elif kind in ("classic", "enhanced"):
        writer = DerivedSeriesWriter(series, tmp_path, provenance=provenance(), output=ENHANCED)
    else:
        writer = NewSeriesWriter(
            tmp_path,
            geometry=series.geometry,
            acquisition=series.acquisition,
            provenance=provenance(),
            output=replace(ENHANCED, absolute=True, image_type=""),
            sources=[series] if kind == "new" else (),
        )
    for index in range(3):
        values = series.values(index)
        writer.write(index, values > 0 if kind == "mask" else values)
    path = writer.finish()[0]
    dataset = deidentified(pydicom.dcmread(path))
    assert "DerivationDescription" not in dataset
    assert is_enhanced(dataset)
    assert dataset.SyntheticData == "YES"
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.ImageType[0] == "DERIVED"


def test_each_mark_is_enough() -> None:
    by_type, by_code, by_equipment, by_synthesis = Dataset(), Dataset(), Dataset(), Dataset()
    by_type.ImageType = ["DERIVED", "SECONDARY", "AXIAL", AI_ENHANCED]
    by_code.DerivationCodeSequence = [code_item(NOISE_REDUCTION)]
    by_equipment.ContributingEquipmentSequence = [equipment(PRODUCT, PROCESSING_EQUIPMENT)]
    by_synthesis.ContributingEquipmentSequence = [equipment(PRODUCT, SYNTHESIZING_EQUIPMENT)]
    assert all(map(is_enhanced, (by_type, by_code, by_equipment, by_synthesis)))


def test_frames_are_looked_into() -> None:
    dataset, group, derivation = Dataset(), Dataset(), Dataset()
    derivation.DerivationCodeSequence = [code_item(NOISE_REDUCTION)]
    group.DerivationImageSequence = [derivation]
    dataset.PerFrameFunctionalGroupsSequence = [group]
    assert is_enhanced(dataset)


def test_neither_a_phantom_nor_another_product_counts_as_enhanced() -> None:
    phantom, other = Dataset(), Dataset()
    phantom.SyntheticData = phantom.QualityControlSubject = "YES"
    phantom.ContributingEquipmentSequence = [equipment(PRODUCT, SYNTHESIZING_EQUIPMENT)]
    other.ImageType = "ORIGINAL"
    other.ContributingEquipmentSequence = [equipment("Other", PROCESSING_EQUIPMENT)]
    assert not is_enhanced(Dataset())
    assert not is_enhanced(phantom)
    assert not is_enhanced(other)
    phantom.ContributingEquipmentSequence.append(equipment(PRODUCT, PROCESSING_EQUIPMENT))
    assert is_enhanced(phantom)


def test_faithfulness_signed_off_writes_no_but_never_over_a_synthetic_source() -> None:
    measured, synthetic = Dataset(), Dataset()
    synthetic.SyntheticData = "YES"
    for dataset in (measured, synthetic):
        mark(dataset, provenance(synthetic=False), made_at=MADE_AT, sources=[dataset])
    assert (measured.SyntheticData, synthetic.SyntheticData) == ("NO", "YES")


def test_warnings_come_before_what_may_be_cut_off() -> None:
    text = derivation_text(
        provenance(model_description="word " * 500, forced_warnings=("noise 90 HU",)),
        made_from="",
    )
    assert len(text) == 1024 or text.endswith("...")
    assert text.index("noise 90 HU") < text.index("word")


def test_other_coding_schemes_stay() -> None:
    dataset, scheme = Dataset(), Dataset()
    scheme.CodingSchemeDesignator = "99OTHER"
    dataset.CodingSchemeIdentificationSequence = [scheme]
    mark(dataset, provenance(), made_at=MADE_AT, sources=[dataset])
    mark(dataset, provenance(), made_at=MADE_AT, sources=[dataset])
    designators = [
        item.CodingSchemeDesignator for item in dataset.CodingSchemeIdentificationSequence
    ]
    assert designators == ["99OTHER", "99ISOCENTER"]


def test_uids_are_valid_and_depend_on_every_part() -> None:
    uids = {derived_uid(*parts) for parts in (("a", "b"), ("a", "c"), ("b", "b"), ("ab", ""))}
    assert len(uids) == 4
    for uid in map(pydicom.uid.UID, uids):
        assert uid.is_valid
        assert uid.startswith("2.25.")
        assert int(uid.split(".")[2]) < 2**128
    assert device_uid("aa") != device_uid("bb")
    assert derived_uid("a", "b") == "2.25." + derived_uid("a", "b").split(".")[2]


def test_the_conformance_statement_names_codes_and_uids() -> None:
    statement = Path(__file__).parents[2].joinpath("docs", "conformance.md").read_text()
    codes = (NOISE_REDUCTION, UNCERTAINTY_ESTIMATION, HALF_WIDTH)
    for value, scheme, meaning in codes:
        assert value in statement
        assert scheme in statement
        assert meaning in statement
    for text in (CODING_SCHEME_UID, IMPLEMENTATION_CLASS_UID, AI_ENHANCED):
        assert text in statement


def marked(**elements: Any) -> Dataset:
    """A new object whose source has these elements too."""
    source = Dataset()
    source.Manufacturer = "Seeded Scanners"
    source.StationName = "CT-ROOM-3"
    for keyword, value in elements.items():
        setattr(source, keyword, value)
    mark(source, provenance(), made_at=datetime(2026, 2, 3, tzinfo=UTC), sources=[source])
    return source


def roles(dataset: Dataset) -> list[str]:
    return [
        item.PurposeOfReferenceCodeSequence[0].CodeValue
        for item in dataset.ContributingEquipmentSequence
    ]


def test_the_station_of_a_result_is_the_product_and_not_the_scanner() -> None:
    result = marked()
    scanner, model = result.ContributingEquipmentSequence
    assert scanner.StationName == "CT-ROOM-3"
    assert result.StationName == model.StationName == "ISOCENTER"


def test_what_removed_an_identity_is_named_once() -> None:
    assert roles(marked()) == ["109101", "109102"]
    assert roles(marked(PatientIdentityRemoved="NO")) == ["109101", "109102"]
    result = marked(PatientIdentityRemoved="YES")
    assert roles(result) == ["109101", "109104", "109102"]
    remover = result.ContributingEquipmentSequence[1]
    assert remover.Manufacturer == "Unknown"
    assert remover.PurposeOfReferenceCodeSequence[0].CodeMeaning == "De-identifying Equipment"


def test_a_remover_that_the_source_names_is_left_alone() -> None:
    remover = Dataset()
    remover.Manufacturer = "Remover"
    remover.PurposeOfReferenceCodeSequence = [code_item(DEIDENTIFYING_EQUIPMENT)]
    result = marked(PatientIdentityRemoved="YES", ContributingEquipmentSequence=[remover])
    assert roles(result) == ["109104", "109101", "109102"]
    assert result.ContributingEquipmentSequence[0] == remover
