"""Whose a result is, and of which study: a source's patient, or nobody."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass

from pydicom.dataset import Dataset

from isocenter.dicom.uids import derived_uid

_STUDY_LEVEL = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "StudyInstanceUID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "ProcedureCodeSequence",
    "LongitudinalTemporalInformationModified",
    "BodyPartExamined",
    "Laterality",
    "PatientPosition",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "SyntheticData",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "DeviceUID",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "ContributingEquipmentSequence",
    "CodingSchemeIdentificationSequence",
)
_STILL_TRUE = (
    "AcquisitionDate",
    "AcquisitionTime",
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
)
_PATIENT_AND_TRIAL_GROUPS = (0x0010, 0x0012)


def copy_person_and_study(dataset: Dataset, source: Dataset) -> None:
    """Replace in place who was scanned, in which study and frame of reference, and by what."""
    for tag in list(dataset.keys()):
        if tag.group in _PATIENT_AND_TRIAL_GROUPS:
            del dataset[tag]
    for tag in list(source.keys()):
        if tag.group in _PATIENT_AND_TRIAL_GROUPS:
            dataset[tag] = deepcopy(source.get_item(tag))
    for keyword in _STUDY_LEVEL:
        if keyword in dataset:
            delattr(dataset, keyword)
        if keyword in source:
            dataset[keyword] = deepcopy(source[keyword])


def lent_header(source: Dataset) -> Dataset:
    """What a new series has of the first that it was made from, or of nobody's header."""
    header = Dataset()
    copy_person_and_study(header, source)
    for keyword in _STILL_TRUE:
        if keyword in source:
            header[keyword] = source[keyword]
    return header


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Who a scan is of that was made from nothing: nobody, under a name that says so.

    Attributes:
        case: tells apart the cases of one run; "" takes a name from the run's own digest.
        name, identifier: beginnings of Patient's Name and Patient ID; the case follows.
        description: Study Description.
        is_phantom: whether it stands for a quality control phantom, which may be enhanced.

    Raises:
        ValueError: the case holds other than letters, digits, "-", "_" and space, or more than 32.
    """

    case: str = ""
    name: str = "SYNTHETIC^CASE"
    identifier: str = "SYN"
    description: str = "SYNTHETIC (made by a model, no patient)"
    is_phantom: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9 _-]{0,32}", self.case):
            raise ValueError(
                f"a case is named by at most 32 letters, digits, '-', '_' and spaces, "
                f"got {self.case!r}"
            )

    def header(self, record_digest: str) -> Dataset:
        """Patient, study and frame of reference."""
        case = self.case or record_digest[:12].upper()
        dataset = Dataset()
        dataset.PatientName = self.name if self.is_phantom else f"{self.name} {case}"
        dataset.PatientID = self.identifier if self.is_phantom else f"{self.identifier}-{case}"
        dataset.IssuerOfPatientID = "ISOCENTER"
        dataset.PatientBirthDate = dataset.PatientSex = ""
        if self.is_phantom:
            dataset.QualityControlSubject = "YES"
        dataset.StudyInstanceUID = derived_uid("study of nobody", case, record_digest)
        dataset.FrameOfReferenceUID = derived_uid("frame of nobody", case, record_digest)
        dataset.StudyID = "1"
        dataset.StudyDescription = self.description
        dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
        dataset.StudyDate = dataset.StudyTime = None
        dataset.PositionReferenceIndicator = ""
        dataset.PatientPosition = "HFS"
        dataset.SyntheticData = "YES"
        for keyword in ("BurnedInAnnotation", "RecognizableVisualFeatures"):
            setattr(dataset, keyword, "NO")
        return dataset
