"""The coded marks that tell every later reader that a model made these pixels.

De-identification removes texts, dates and private elements (PS3.15, Basic Profile). The marks
therefore live in coded and enumerated elements; texts only repeat them for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset

from isocenter.core.outputs import Code
from isocenter.core.record import RunRecord
from isocenter.dicom.uids import CODING_SCHEME_UID, derived_uid, device_uid

PRODUCT = "Isocenter"
STATION = "ISOCENTER"
"""Station Name: which product it is; the computer's own name would tell whose it is."""
CODING_SCHEME = "99ISOCENTER"
AI_ENHANCED = "AI_ENHANCED"

ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
DEIDENTIFYING_EQUIPMENT = Code("109104", "DCM", "De-identifying Equipment")
SYNTHESIZING_EQUIPMENT = Code("109100", "DCM", "Synthesizing Equipment")


def now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a derived object says of its making.

    Attributes:
        record: the run; its digest decides all UIDs.
        model_description: one sentence on the method, for people.
        synthetic: value of Synthetic Data; False only for a model whose faithfulness was validated
            and signed off. A source that is synthetic makes the result synthetic in any case.
        calculated: a formula gave every value from what was acquired: no model made anything, so
            the result is as real as its sources.
        limits: one sentence on what the result is not for.
        forced_warnings: rules that were overridden, in words; empty takes those of ``record``.
        series_description: words after the flag; empty takes those of the source series.
        context: neighbouring slices on each side that a slice was computed from.
        clock: the time written into dates and times; never into pixels or UIDs.
    """

    record: RunRecord
    model_description: str
    synthetic: bool = True
    calculated: bool = False
    limits: str = "Not for primary diagnosis."
    forced_warnings: tuple[str, ...] = ()
    series_description: str = ""
    context: int = 0
    clock: Callable[[], datetime] = now

    @property
    def warnings(self) -> tuple[str, ...]:
        """Overridden rules, in words."""
        return self.forced_warnings or self.record.warnings


def is_enhanced(dataset: Dataset) -> bool:
    """Whether Isocenter made or changed these pixels.

    Looks at what survives de-identification: Image Type, codes of our scheme in Derivation Code
    Sequence (of the image or of its frames), and Contributing Equipment that names Isocenter as
    processing or synthesizing equipment. Of a phantom that Isocenter synthesized only what was
    done afterwards counts, as it stands for a scan; Synthetic Data alone says nothing either.
    """
    kinds = (_texts(dataset, "ImageType"), _texts(dataset, "FrameType"))
    if any(AI_ENHANCED in kind for kind in kinds):
        return True
    schemes = [item.get("CodingSchemeDesignator") for item in _derivation_codes(dataset)]
    if CODING_SCHEME in schemes:
        return True
    if _is_our_equipment(dataset, PROCESSING_EQUIPMENT):
        return True
    is_phantom = "YES" in (dataset.get("QualityControlSubject"), dataset.get("QualityControlImage"))
    return not is_phantom and _is_our_equipment(dataset, SYNTHESIZING_EQUIPMENT)


def mark(
    dataset: Dataset,
    provenance: Provenance,
    *,
    made_at: datetime,
    sources: Sequence[Dataset],
    purpose: Code = PROCESSING_EQUIPMENT,
) -> None:
    """Write in place every mark that does not depend on the kind of object.

    The scanner moves from the sources' General Equipment into Contributing Equipment and the
    product takes its place (PS3.3 C.12.1.1.5).

    Args:
        dataset: new object, with what it keeps of its sources; it may be a source itself.
        made_at: time of making, with time zone.
        sources: headers that still hold General Equipment; empty where there is no source.
        purpose: what the model did: changed images or synthesized new ones.
    """
    made_up = provenance.synthetic and not provenance.calculated
    synthetic = made_up or any(one.get("SyntheticData") == "YES" for one in sources)
    equipment: list[Dataset] = []
    for source in sources:
        earlier = _items(source, "ContributingEquipmentSequence")
        for item in (*earlier, _source_equipment(source, earlier), *_deidentifier(source, earlier)):
            if item not in equipment:
                equipment.append(item)
    model = _model_equipment(provenance, purpose, made_at=made_at)
    dataset.SyntheticData = "YES" if synthetic else "NO"
    dataset.ContentQualification = "RESEARCH"
    dataset.ContributingEquipmentSequence = [*equipment, model]
    _write_product_as_equipment(dataset, provenance.record)
    _identify_coding_scheme(dataset)
    _write_dates(dataset, provenance.record, made_at=made_at)


def code_item(code: Code) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def code_items(code: Code) -> list[Dataset]:
    """A code sequence of one item, or of none where the code is empty."""
    return [code_item(code)] if code.value else []


def from_slices(provenance: Provenance) -> str:
    """What each slice was computed from, where a series was changed slice by slice."""
    num_slices = 2 * provenance.context + 1
    return f"Each slice computed from {num_slices} source slice{'s' if num_slices > 1 else ''}."


def derivation_text(provenance: Provenance, *, made_from: str, earlier: str = "") -> str:
    """Derivation Description: what was done by what, warnings first, at most 1024 characters.

    Args:
        made_from: one sentence on the sources.
        earlier: the source's own derivation, if it was derived already.
    """
    record = provenance.record
    parts = [
        f"{_how(provenance)}.",
        *(f"WARNING, rule overridden: {warning.rstrip('.')}." for warning in provenance.warnings),
        provenance.limits,
        provenance.model_description,
        made_from,
        _settings_text(record),
        f"Source: {earlier}" if earlier else "",
    ]
    return fitted(" ".join(part for part in parts if part), 1024)


def _how(provenance: Provenance) -> str:
    """What made it, in words."""
    record = provenance.record
    by = f"{record.task} by {PRODUCT} {record.product_version}"
    if provenance.calculated:
        return f"Calculated from acquired images: {by}, no model"
    how = "AI-generated" if record.weights_sha256 else "Computed without a scan"
    return f"{how}: {by}, model {_model_name(record)}"


def comment_text(provenance: Provenance, *, flag: str) -> str:
    """Image Comments: what a reader must see first."""
    warnings = [f"WARNING: {warning.rstrip('.')}." for warning in provenance.warnings]
    return fitted(" ".join([f"{flag}, research use.", provenance.limits, *warnings]), 4096)


def series_text(provenance: Provenance, source_description: str, *, flag: str) -> str:
    """Series Description: the flag, the strength where there is one, then words; 64 characters."""
    strength = provenance.record.settings.get("strength")
    amount = "" if strength is None else f"strength {strength}"
    words = provenance.series_description or source_description
    return fitted(" ".join(part for part in (flag, amount, words) if part), 64)


def _settings_text(record: RunRecord) -> str:
    """Settings as "name=value" in the order of their names, "" where there are none."""
    settings = ", ".join(f"{name}={value}" for name, value in sorted(record.settings.items()))
    return f"Settings: {settings}." if settings else ""


def _software_versions(record: RunRecord) -> list[str]:
    """Product and version, model and digest: the two values of Software Versions."""
    product = f"{PRODUCT} {record.product_version}"
    return [fitted(product, 64), fitted(_model_name(record), 64)]


def _device_serial_number(record: RunRecord) -> str:
    """Software has no serial number: the beginning of the digest of its weights."""
    return record.weights_sha256[:16] or "0"


def _model_name(record: RunRecord) -> str:
    has_weights = record.weights_sha256.strip("0")
    weights = f"@{record.weights_sha256[:12]}" if has_weights else ""
    return f"{record.model_name} {record.model_version}{weights}"


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
    "DateOfManufacture",
    "DateOfInstallation",
    "DateOfLastCalibration",
    "TimeOfLastCalibration",
)
"""General Equipment that Contributing Equipment holds too, besides Manufacturer."""

_STAYS_WITH_THE_IMAGE = ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName")


def _source_equipment(dataset: Dataset, earlier: Sequence[Dataset]) -> Dataset:
    """The source's General Equipment: the scanner, unless an earlier item names the scanner."""
    item = Dataset()
    scanner_known = _names(earlier, ACQUISITION_EQUIPMENT)
    role = PROCESSING_EQUIPMENT if scanner_known else ACQUISITION_EQUIPMENT
    item.PurposeOfReferenceCodeSequence = [code_item(role)]
    item.Manufacturer = str(dataset.get("Manufacturer") or "") or "Unknown"
    for keyword in SCANNER_ONLY:
        if dataset.get(keyword) not in (None, ""):
            setattr(item, keyword, dataset[keyword].value)
    return item


def _deidentifier(dataset: Dataset, earlier: Sequence[Dataset]) -> list[Dataset]:
    """What removed the identity of a source that says so, where it does not name it itself."""
    if dataset.get("PatientIdentityRemoved") != "YES" or _names(earlier, DEIDENTIFYING_EQUIPMENT):
        return []
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(DEIDENTIFYING_EQUIPMENT)]
    item.Manufacturer = "Unknown"
    item.ContributionDescription = "De-identified, as the source says, by what it does not name."
    return [item]


def _names(equipment: Sequence[Dataset], role: Code) -> bool:
    """Whether an item of Contributing Equipment has this role."""
    purposes = [p for item in equipment for p in _items(item, "PurposeOfReferenceCodeSequence")]
    return any(_is_code(purpose, role) for purpose in purposes)


def _model_equipment(provenance: Provenance, purpose: Code, *, made_at: datetime) -> Dataset:
    record = provenance.record
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(purpose)]
    item.Manufacturer = PRODUCT
    item.ManufacturerModelName = fitted(record.model_name, 64)
    item.StationName = STATION
    item.SoftwareVersions = _software_versions(record)
    item.DeviceSerialNumber = _device_serial_number(record)
    if record.weights_sha256:
        item.DeviceUID = device_uid(record.weights_sha256)
    item.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S.%f%z")
    parts = (provenance.model_description, _settings_text(record), f"Record {record.digest()}.")
    item.ContributionDescription = fitted(" ".join(part for part in parts if part), 1024)
    return item


def _write_product_as_equipment(dataset: Dataset, record: RunRecord) -> None:
    for keyword in (*SCANNER_ONLY, "GantryID", "ManufacturerDeviceClassUID", "UDISequence"):
        if keyword in dataset and keyword not in _STAYS_WITH_THE_IMAGE:
            delattr(dataset, keyword)
    dataset.Manufacturer = PRODUCT
    dataset.ManufacturerModelName = fitted(f"{PRODUCT} {record.task}", 64)
    dataset.StationName = STATION
    dataset.SoftwareVersions = _software_versions(record)
    dataset.DeviceSerialNumber = _device_serial_number(record)


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


def _is_our_equipment(dataset: Dataset, purpose: Code) -> bool:
    """Whether Contributing Equipment names Isocenter in this role."""
    return any(
        PRODUCT in _texts(item, "Manufacturer")
        and any(_is_code(one, purpose) for one in _items(item, "PurposeOfReferenceCodeSequence"))
        for item in _items(dataset, "ContributingEquipmentSequence")
    )


def _is_code(item: Dataset, code: Code) -> bool:
    return (str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", ""))) == code[:2]


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    value = dataset.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]
