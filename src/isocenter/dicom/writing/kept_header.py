"""What stays of a source's header: true, valid, and known to the IOD of the result."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from pydicom import config
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_is_retired,
    dictionary_VR,
    keyword_for_tag,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import VALIDATORS, DSfloat, format_number_as_ds

from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.modules import keywords_of

NO_LONGER_TRUE = frozenset(
    """
    SmallestImagePixelValue LargestImagePixelValue SmallestPixelValueInSeries
    LargestPixelValueInSeries IconImageSequence PixelDataProviderURL
    DigitalSignaturesSequence MACParametersSequence EncryptedAttributesSequence
    PrivateDataElementCharacteristicsSequence
    ReferencedPerformedProcedureStepSequence PerformedProcedureStepID
    PerformedProcedureStepDescription PerformedProcedureStepStartDate
    PerformedProcedureStepStartTime PerformedProcedureStepEndDate PerformedProcedureStepEndTime
    PerformedProtocolCodeSequence
    SourceImageSequence PlanarConfiguration PixelData
    InstanceCoercionDateTime InstanceOriginStatus SOPInstanceStatus SOPAuthorizationDateTime
    SOPAuthorizationComment AuthorizationEquipmentCertificationNumber QueryRetrieveView
    RelatedGeneralSOPClassUID OriginalSpecializedSOPClassUID ConversionSourceAttributesSequence
    HL7StructuredDocumentReferenceSequence FrameExtractionSequence
    """.split()
)
"""Of the source's pixels, of its making, or of its standing in an archive."""

EMPTY_WHERE_UNKNOWN = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "PositionReferenceIndicator",
    "PatientPosition",
)
"""Type 2 elements of any image: present, without value where the source has none."""

_TRIAL_SUBJECT = (
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
)

_UNPAIRED_BODY_PARTS = frozenset(
    """
    ABDOMEN ABDOMENPELVIS AORTA BLADDER BRAIN CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS COCCYX COLON
    CSPINE CTSPINE DUODENUM ESOPHAGUS GALLBLADDER HEAD HEADNECK HEART ILEUM JEJUNUM LARYNX LIVER
    LSPINE LSSPINE MEDIASTINUM NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV PANCREAS PELVIS
    PROSTATE RECTUM SKULL SPINE SPLEEN SSPINE STERNUM STOMACH TLSPINE TSPINE THYMUS THYROID TRACHEA
    UTERUS WHOLEBODY
    """.split()
)
"""Body parts of PS3.16 Annex L without a left and a right."""


def kept_header(source: Dataset, sop_class_uid: str = "") -> Dataset:
    """What stays of a source header: copied, valid, without outdated elements.

    Args:
        sop_class_uid: of the result; what no module of its IOD has is left behind. "" where the
            header only lends person, study, equipment and place.
    """
    known = keywords_of(sop_class_uid) - NO_LONGER_TRUE
    header = Dataset()
    for element in source:
        if keyword_for_tag(element.tag) in known:
            header.add(deepcopy(element))
    _drop_embedded_overlays(header)
    header.HighBit = header.BitsStored - 1
    _match_padding_to_pixels(header)
    _keep_valid(header)
    fill_empty(header, EMPTY_WHERE_UNKNOWN)
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = derived_uid("frame of reference", source.SeriesInstanceUID)
    fill_laterality(header)
    _drop_unnamed_subject(header)
    return header


def fill_empty(header: Dataset, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword not in header:
            setattr(header, keyword, "" if keyword == "PatientName" else None)


def readable_text(source: Dataset, keyword: str) -> str:
    """A text of the source; without its foreign letters where no character set is declared."""
    text = str(source.get(keyword) or "")
    declared = bool(source.get("SpecificCharacterSet"))
    return text if declared else text.encode("ascii", "ignore").decode()


def _drop_embedded_overlays(header: Dataset) -> None:
    """Overlays kept in unused pixel bits are gone with the source's pixels."""
    for group in range(0x6000, 0x6020, 2):
        elements = header.group_dataset(group)
        if (group, 0x3000) not in header:
            for tag in list(elements.keys()):
                del header[tag]


def _match_padding_to_pixels(header: Dataset) -> None:
    """Give padding values the sign of the pixels; 63536 in signed images means -2000."""
    signed = header.get("PixelRepresentation") == 1
    bits = int(header.get("BitsAllocated") or 16)
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        value = header.get(keyword)
        if value is None:
            continue
        number = int(value) % (1 << bits)
        if signed and number >= 1 << (bits - 1):
            number -= 1 << bits
        header[keyword] = DataElement(header[keyword].tag, "SS" if signed else "US", number)


def fill_laterality(header: Dataset) -> None:
    """Laterality is demanded, though it may be empty, unless the body part is known unpaired."""
    unpaired = str(header.get("BodyPartExamined") or "") in _UNPAIRED_BODY_PARTS
    if unpaired or "ImageLaterality" in header:
        if "Laterality" in header and not header.Laterality:
            del header.Laterality
    else:
        header.Laterality = header.get("Laterality") or ""


def _drop_unnamed_subject(header: Dataset) -> None:
    """A trial module whose subject was emptied is invalid; de-identified scans hold such ones."""
    if header.get("ClinicalTrialSubjectID") or header.get("ClinicalTrialSubjectReadingID"):
        return
    for keyword in _TRIAL_SUBJECT:
        if keyword in header:
            delattr(header, keyword)


_PATIENT_GROUP = 0x0010
_TEXTS = ("AE", "AS", "CS", "DA", "DT", "IS", "LO", "SH", "ST", "TM")


def _keep_valid(dataset: Dataset) -> None:
    """Mend or drop values that break the rules of their representation; patients stay as is."""
    for tag in list(dataset.keys()):
        if tag.is_private or tag.element == 0 or _is_retired(tag):
            del dataset[tag]
            continue
        if tag.group == _PATIENT_GROUP:
            continue
        element = _as_the_dictionary_says(dataset, tag)
        if element.VR == "SQ":
            for item in element.value:
                _keep_valid(item)
            whole = [item for item in element.value if _is_whole(item)]
            if len(whole) < len(element.value):
                dataset[tag] = DataElement(tag, "SQ", whole)
        elif element.VR == "DS":
            _shorten_decimals(element)
        if not _is_valid(element) or (element.VR == "SQ" and not dataset[tag].value):
            del dataset[tag]


def _is_retired(tag: BaseTag) -> bool:
    return dictionary_has_tag(tag) and dictionary_is_retired(tag)


def _as_the_dictionary_says(dataset: Dataset, tag: BaseTag) -> DataElement:
    """The element, its text under the representation that the standard gives its tag."""
    element = dataset[tag]
    expected = dictionary_VR(tag) if dictionary_has_tag(tag) else element.VR
    if expected != element.VR and expected in _TEXTS and element.VR in _TEXTS:
        element = DataElement(tag, expected, element.value, validation_mode=config.IGNORE)
        dataset[tag] = element
    return element


def _is_whole(item: Dataset) -> bool:
    """Whether a reference names both class and instance, and a code its value."""
    named = {bool(item.get(f"ReferencedSOP{part}UID")) for part in ("Class", "Instance")}
    return len(named) == 1 and ("CodeValue" not in item or bool(item.CodeValue))


def _shorten_decimals(element: DataElement) -> None:
    """Decimal strings hold 16 characters; scanners write more."""
    values = element.value if element.VM > 1 else [element.value]
    if element.VM == 0 or all(len(str(value).strip()) <= 16 for value in values):
        return
    short = [DSfloat(format_number_as_ds(float(value))) for value in values]
    element.value = short if element.VM > 1 else short[0]


def _is_valid(element: DataElement) -> bool:
    if element.VR == "UN":
        return False
    if element.VR not in _TEXTS or element.VM == 0:
        return True
    values = element.value if element.VM > 1 else [element.value]
    return all(VALIDATORS[element.VR](element.VR, _as_text(value))[0] for value in values)


def _as_text(value: object) -> str:
    return getattr(value, "original_string", None) or str(value)
