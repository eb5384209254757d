"""Headers of derived CT objects: what stays of the source, what goes, what is added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime

from pydicom import config
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    JPEG2000,
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)
from pydicom.valuerep import VALIDATORS, DSfloat, format_number_as_ds

from isocenter.dicom.marking import (
    AI_ENHANCED,
    NOISE_REDUCTION,
    Code,
    Provenance,
    code_item,
    comment_text,
    derivation_text,
    mark,
    series_text,
)
from isocenter.dicom.uids import IMPLEMENTATION_CLASS_UID, derived_uid, instance_uid, series_uid

SOURCE_IMAGE: Code = ("121322", "DCM", "Source image for image processing operation")
SOURCE_SERIES: Code = ("121323", "DCM", "Source series for image processing operation")
SAME_ANATOMY: Code = ("122401", "DCM", "Same Anatomy")

SERIES_NUMBER_BAND = 9000

NO_LONGER_TRUE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "IconImageSequence",
    "HistogramSequence",
    "AlternateRepresentationSequence",
    "PixelDataProviderURL",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "EncryptedAttributesSequence",
    "PrivateDataElementCharacteristicsSequence",
    "ReferencedPerformedProcedureStepSequence",
    "PerformedProcedureStepID",
    "PerformedProcedureStepDescription",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "PerformedProtocolCodeSequence",
    "SourceImageSequence",
    "DataSetTrailingPadding",
    "PlanarConfiguration",
    "PixelData",
)

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
"""Type 2 elements of any CT image: present, without value where the source has none."""

EMPTY_WHERE_UNKNOWN_IN_CLASSIC = ("KVP", "AcquisitionNumber", "SliceThickness", "InstanceNumber")

_LOSSY_METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
}

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


def classic_header(
    window: Sequence[Dataset], provenance: Provenance, *, made_at: datetime
) -> Dataset:
    """Header of one derived CT image, ready for its pixels.

    Args:
        window: headers of all slices that it was computed from, that at the same place first.
        made_at: time of making, with time zone.
    """
    source = window[0]
    header = kept_header(source)
    _fill_empty(header, EMPTY_WHERE_UNKNOWN_IN_CLASSIC)
    header.SOPClassUID = CTImageStorage
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL", AI_ENHANCED]
    write_identity(header, source, provenance)
    mark(header, provenance, made_at=made_at)
    _write_derivation(header, source, provenance)
    header.SourceImageSequence = [source_image(image) for image in window]
    refer_to_series(header, window)
    write_lossy(header, window)
    return header


def kept_header(source: Dataset) -> Dataset:
    """What stays of a source header: copied, valid, without private and outdated elements."""
    header = Dataset()
    for element in source:
        if not element.tag.is_private:
            header.add(deepcopy(element))
    header.remove_private_tags()
    for keyword in NO_LONGER_TRUE:
        if keyword in header:
            delattr(header, keyword)
    _drop_embedded_overlays(header)
    header.HighBit = header.BitsStored - 1
    _match_padding_to_pixels(header)
    _keep_valid(header)
    _fill_empty(header, EMPTY_WHERE_UNKNOWN)
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = derived_uid("frame of reference", source.SeriesInstanceUID)
    _fill_laterality(header)
    _drop_unnamed_subject(header)
    return header


def _fill_empty(header: Dataset, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword not in header:
            setattr(header, keyword, "" if keyword == "PatientName" else None)


def file_meta(header: Dataset, product_version: str) -> FileMetaDataset:
    """File meta information that names this implementation."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"ISOCENTER_{product_version}"[:16]
    return meta


def source_image(image: Dataset, frames: Sequence[int] = ()) -> Dataset:
    """One item of Source Image Sequence; ``frames`` counts from 1, as DICOM does."""
    item = reference(image)
    if frames:
        item.ReferencedFrameNumber = list(frames)
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    return item


def refer_to_series(header: Dataset, images: Sequence[Dataset]) -> None:
    """Name the source series and its images where archives follow references."""
    related = Dataset()
    related.StudyInstanceUID = images[0].StudyInstanceUID
    related.SeriesInstanceUID = images[0].SeriesInstanceUID
    related.PurposeOfReferenceCodeSequence = [code_item(SOURCE_SERIES), code_item(SAME_ANATOMY)]
    header.RelatedSeriesSequence = [*(header.get("RelatedSeriesSequence") or ()), related]
    known = list(header.get("ReferencedSeriesSequence") or ())
    others = [item for item in known if item.SeriesInstanceUID != images[0].SeriesInstanceUID]
    item = Dataset()
    item.SeriesInstanceUID = images[0].SeriesInstanceUID
    item.ReferencedInstanceSequence = [reference(image) for image in images]
    header.ReferencedSeriesSequence = [*others, item]


def derivation_codes(earlier: Iterable[Dataset]) -> list[Dataset]:
    """Earlier steps, then ours: one item for each successive step."""
    return [*deepcopy(list(earlier)), code_item(NOISE_REDUCTION)]


def reference(image: Dataset) -> Dataset:
    """Class and instance of an image, as reference sequences want them."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


def write_identity(header: Dataset, source: Dataset, provenance: Provenance) -> None:
    digest = provenance.record.digest()
    header.SOPInstanceUID = instance_uid(source.SOPInstanceUID, digest)
    header.SeriesInstanceUID = series_uid(source.SeriesInstanceUID, digest)
    header.SeriesNumber = derived_series_number(source, SERIES_NUMBER_BAND)
    header.SeriesDescription = series_text(
        provenance, readable_text(source, "SeriesDescription"), flag="AI ENHANCED"
    )
    header.Modality = "CT"


def derived_series_number(source: Dataset, band: int) -> int:
    """A Series Number of our own band that still shows which series it came from."""
    try:
        return band + int(source.get("SeriesNumber") or 0) % 500
    except ValueError:
        return band


def readable_text(source: Dataset, keyword: str) -> str:
    """A text of the source; without its foreign letters where no character set is declared."""
    text = str(source.get(keyword) or "")
    declared = bool(source.get("SpecificCharacterSet"))
    return text if declared else text.encode("ascii", "ignore").decode()


def _write_derivation(header: Dataset, source: Dataset, provenance: Provenance) -> None:
    earlier = readable_text(source, "DerivationDescription")
    header.DerivationDescription = derivation_text(provenance, earlier=earlier)
    header.DerivationCodeSequence = derivation_codes(header.get("DerivationCodeSequence") or ())
    comments = comment_text(provenance)
    earlier = readable_text(source, "ImageComments")
    header.ImageComments = f"{comments} Source: {earlier}"[:10240] if earlier else comments
    if not header.get("RescaleType"):
        header.RescaleType = "HU"


def write_lossy(header: Dataset, images: Sequence[Dataset]) -> None:
    """Once lossy, always lossy: taken from any image that was used (C.7.6.1.1.5)."""
    for image in images:
        method = _LOSSY_METHODS.get(_transfer_syntax(image))
        stated = image.get("LossyImageCompression")
        if stated == "01" or (method is not None and stated != "00"):
            header.LossyImageCompression = "01"
            for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
                if image.get(keyword):
                    setattr(header, keyword, image[keyword].value)
            if method is not None and not header.get("LossyImageCompressionMethod"):
                header.LossyImageCompressionMethod = method
            return
    header.LossyImageCompression = "00"


def _transfer_syntax(image: Dataset) -> UID:
    meta = getattr(image, "file_meta", None)
    return UID(str(meta.get("TransferSyntaxUID", ""))) if meta is not None else UID("")


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


def _fill_laterality(header: Dataset) -> None:
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
