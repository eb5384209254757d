"""The coded marks that tell every later reader that a model made these pixels.

De-identification removes texts, dates and private elements (PS3.15, Basic Profile). The marks
therefore live in coded and enumerated elements; texts only repeat them for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset

from isocenter.core.record import RunRecord
from isocenter.dicom.uids import CODING_SCHEME_UID, derived_uid, device_uid

PRODUCT = "Isocenter"
CODING_SCHEME = "99ISOCENTER"
AI_ENHANCED = "AI_ENHANCED"

Code = tuple[str, str, str]
"""Code value, coding scheme designator and meaning."""

NOISE_REDUCTION: Code = ("DLNR", CODING_SCHEME, "Deep learning noise reduction")
ACQUISITION_EQUIPMENT: Code = ("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT: Code = ("109102", "DCM", "Processing Equipment")
SYNTHESIZING_EQUIPMENT: Code = ("109100", "DCM", "Synthesizing Equipment")


def _now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a derived object says of its making.

    Attributes:
        record: the run; its digest decides all UIDs.
        model_description: one sentence on the method, for people.
        synthetic: value of Synthetic Data; False only for a model whose faithfulness was validated
            and signed off. A source that is synthetic makes the result synthetic in any case.
        limits: one sentence on what the result is not for.
        forced_warnings: rules that were overridden, in words; empty takes those of ``record``.
        series_description: words after the flag; empty takes those of the source series.
        context: neighbouring slices on each side that a slice was computed from.
        clock: the time written into dates and times; never into pixels or UIDs.
    """

    record: RunRecord
    model_description: str
    synthetic: bool = True
    limits: str = "Not for primary diagnosis."
    forced_warnings: tuple[str, ...] = ()
    series_description: str = ""
    context: int = 0
    clock: Callable[[], datetime] = _now

    @property
    def warnings(self) -> tuple[str, ...]:
        """Overridden rules, in words."""
        return self.forced_warnings or self.record.warnings


def is_enhanced(dataset: Dataset) -> bool:
    """Whether an Isocenter model made or changed these pixels.

    Looks at what survives de-identification: Image Type, Derivation Code Sequence (of the image
    or of its frames) and Contributing Equipment. Synthetic Data alone does not count, as
    a software phantom is synthetic too and may be enhanced.
    """
    kinds = (_texts(dataset, "ImageType"), _texts(dataset, "FrameType"))
    if any(AI_ENHANCED in kind for kind in kinds):
        return True
    if any(_is_code(item, NOISE_REDUCTION) for item in _derivation_codes(dataset)):
        return True
    return any(_is_our_processor(item) for item in _items(dataset, "ContributingEquipmentSequence"))


def mark(dataset: Dataset, provenance: Provenance, *, made_at: datetime) -> None:
    """Write in place every mark that does not depend on the kind of object.

    ``dataset`` still holds the source's General Equipment; the scanner moves from there into
    Contributing Equipment and the product takes its place (PS3.3 C.12.1.1.5).
    """
    synthetic = provenance.synthetic or dataset.get("SyntheticData") == "YES"
    dataset.SyntheticData = "YES" if synthetic else "NO"
    dataset.ContentQualification = "RESEARCH"
    earlier = _items(dataset, "ContributingEquipmentSequence")
    source = _source_equipment(dataset, earlier)
    model = _model_equipment(provenance, made_at=made_at)
    dataset.ContributingEquipmentSequence = [*earlier, source, model]
    _write_product_as_equipment(dataset, provenance.record)
    _identify_coding_scheme(dataset)
    _write_dates(dataset, provenance.record, made_at=made_at)


def code_item(code: Code) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def derivation_text(provenance: Provenance, *, earlier: str = "") -> str:
    """Derivation Description: what was done by what, warnings first, at most 1024 characters.

    ``earlier`` is the source's own derivation, if it was derived already.
    """
    record = provenance.record
    num_slices = 2 * provenance.context + 1
    parts = [
        f"AI-generated: {record.task} by {PRODUCT} {record.product_version}, "
        f"model {_model_name(record)}.",
        *(f"WARNING, rule overridden: {warning.rstrip('.')}." for warning in provenance.warnings),
        provenance.limits,
        provenance.model_description,
        f"Each slice computed from {num_slices} source slice{'s' if num_slices > 1 else ''}.",
        f"Settings: {settings_text(record)}.",
        f"Source: {earlier}" if earlier else "",
    ]
    return fitted(" ".join(part for part in parts if part), 1024)


def comment_text(provenance: Provenance) -> str:
    """Image Comments: what a reader must see first."""
    warnings = [f"WARNING: {warning.rstrip('.')}." for warning in provenance.warnings]
    return fitted(" ".join(["AI ENHANCED, research use.", provenance.limits, *warnings]), 4096)


def series_text(provenance: Provenance, source_description: str, *, flag: str) -> str:
    """Series Description: the flag, the strength, then words on the series; 64 characters."""
    strength = provenance.record.settings.get("strength")
    amount = "" if strength is None else f"strength {strength}"
    words = provenance.series_description or source_description
    return fitted(" ".join(part for part in (flag, amount, words) if part), 64)


def settings_text(record: RunRecord) -> str:
    """Settings as "name=value" in the order of their names."""
    return ", ".join(f"{name}={value}" for name, value in sorted(record.settings.items()))


def software_versions(record: RunRecord) -> list[str]:
    """Product and version, model and digest: the two values of Software Versions."""
    product = f"{PRODUCT} {record.product_version}"
    return [fitted(product, 64), fitted(_model_name(record), 64)]


def device_serial_number(record: RunRecord) -> str:
    """Software has no serial number: the beginning of the digest of its weights."""
    return record.weights_sha256[:16] or "0"


def _model_name(record: RunRecord) -> str:
    return f"{record.model_name} {record.model_version}@{record.weights_sha256[:12]}"


def fitted(text: str, length: int) -> str:
    """Text in the default repertoire or the dataset's, without what DICOM texts must not hold."""
    clean = " ".join(text.replace("\\", "/").split())
    return clean if len(clean) <= length else clean[: length - 3].rstrip() + "..."


SCANNER_ONLY = (
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "DeviceUID",
    "SpatialResolution",
    "DateOfLastCalibration",
    "TimeOfLastCalibration",
)
"""General Equipment that Contributing Equipment holds too, besides Manufacturer."""

_STAYS_WITH_THE_IMAGE = ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName")


def _source_equipment(dataset: Dataset, earlier: Sequence[Dataset]) -> Dataset:
    """The source's General Equipment: the scanner, unless an earlier item names the scanner."""
    purposes = [p for item in earlier for p in _items(item, "PurposeOfReferenceCodeSequence")]
    scanner_known = any(_is_code(purpose, ACQUISITION_EQUIPMENT) for purpose in purposes)
    item = Dataset()
    role = PROCESSING_EQUIPMENT if scanner_known else ACQUISITION_EQUIPMENT
    item.PurposeOfReferenceCodeSequence = [code_item(role)]
    item.Manufacturer = str(dataset.get("Manufacturer") or "") or "Unknown"
    for keyword in SCANNER_ONLY:
        if dataset.get(keyword) not in (None, ""):
            setattr(item, keyword, dataset[keyword].value)
    return item


def _model_equipment(provenance: Provenance, *, made_at: datetime) -> Dataset:
    record = provenance.record
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    item.Manufacturer = PRODUCT
    item.ManufacturerModelName = fitted(record.model_name, 64)
    item.SoftwareVersions = software_versions(record)
    item.DeviceSerialNumber = device_serial_number(record)
    item.DeviceUID = device_uid(record.weights_sha256)
    item.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S.%f%z")
    text = f"{provenance.model_description} Settings: {settings_text(record)}."
    item.ContributionDescription = fitted(f"{text} Record {record.digest()}.", 1024)
    return item


def _write_product_as_equipment(dataset: Dataset, record: RunRecord) -> None:
    for keyword in (*SCANNER_ONLY, "GantryID", "ManufacturerDeviceClassUID", "UDISequence"):
        if keyword in dataset and keyword not in _STAYS_WITH_THE_IMAGE:
            delattr(dataset, keyword)
    dataset.Manufacturer = PRODUCT
    dataset.ManufacturerModelName = fitted(f"{PRODUCT} {record.task}", 64)
    dataset.SoftwareVersions = software_versions(record)
    dataset.DeviceSerialNumber = device_serial_number(record)


def _identify_coding_scheme(dataset: Dataset) -> None:
    known = _items(dataset, "CodingSchemeIdentificationSequence")
    others = [item for item in known if item.get("CodingSchemeDesignator") != CODING_SCHEME]
    item = Dataset()
    item.CodingSchemeDesignator = CODING_SCHEME
    item.CodingSchemeUID = CODING_SCHEME_UID
    item.CodingSchemeName = "Isocenter local codes"
    item.CodingSchemeResponsibleOrganization = PRODUCT
    dataset.CodingSchemeIdentificationSequence = [*others, item]


def _write_dates(dataset: Dataset, record: RunRecord, *, made_at: datetime) -> None:
    """Dates of the new series, in the time zone that the source states, if it states one.

    The element Timezone Offset From UTC speaks for all times of the dataset, the scanner's too, so
    it is kept but never added.
    """
    local = made_at.astimezone(_timezone(dataset) or made_at.tzinfo)
    for name in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{name}Date", local.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", local.strftime("%H%M%S.%f"))
    dataset.InstanceCreatorUID = derived_uid("creator", record.product_version)


def _timezone(dataset: Dataset) -> timezone | None:
    offset = str(dataset.get("TimezoneOffsetFromUTC") or "")
    if len(offset) != 5 or offset[0] not in "+-" or not offset[1:].isdigit():
        return None
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _derivation_codes(dataset: Dataset) -> Iterator[Dataset]:
    yield from _items(dataset, "DerivationCodeSequence")
    shared = _items(dataset, "SharedFunctionalGroupsSequence")
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")[:1]
    for group in [*shared, *per_frame]:
        for derivation in _items(group, "DerivationImageSequence"):
            yield from _items(derivation, "DerivationCodeSequence")


def _is_our_processor(item: Dataset) -> bool:
    purposes = _items(item, "PurposeOfReferenceCodeSequence")
    ours = PRODUCT in _texts(item, "Manufacturer")
    return ours and any(_is_code(purpose, PROCESSING_EQUIPMENT) for purpose in purposes)


def _is_code(item: Dataset, code: Code) -> bool:
    return (str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", ""))) == code[:2]


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    value = dataset.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]
