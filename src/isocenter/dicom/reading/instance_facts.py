"""What one file says of itself, as plain texts: for whoever keeps instances and chooses series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import parse_file, refusing
from isocenter.dicom.decoding.pixel_digest import pixel_digest
from isocenter.dicom.reading.identity import is_uid

UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
DESCRIBING = tuple(
    "Modality BodyPartExamined ImageType SeriesNumber SeriesDescription StudyDescription "
    "ProtocolName Manufacturer ManufacturerModelName ConvolutionKernel SliceThickness KVP Exposure "
    "MagneticFieldStrength ScanningSequence SequenceVariant SequenceName EchoTime RepetitionTime "
    "InversionTime FlipAngle DiffusionBValue ContrastBolusAgent Rows Columns NumberOfFrames "
    "PatientPosition SyntheticData".split()
)
"""Keywords that describe what a series shows. None of them is meant to hold a person's name."""

_LONGEST_TEXT = 256


@dataclass(frozen=True, kw_only=True)
class InstanceFacts:
    """One instance.

    Attributes:
        sop_class_uid, sop_uid, study_uid, series_uid: as the data set has them.
        transfer_syntax: of the file.
        pixel_digest: hexadecimal SHA-256, see :mod:`isocenter.dicom.decoding.pixel_digest`.
        described: texts by keyword out of :data:`DESCRIBING`; several values with a backslash.
    """

    sop_class_uid: str
    sop_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax: str
    pixel_digest: str
    described: Mapping[str, str]


def instance_facts(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> InstanceFacts:
    """Read what is needed to keep an instance; no pixel is decoded.

    Raises:
        UnreadableInput: damaged, truncated, beyond the limits, or without proper UIDs.
    """
    digest = pixel_digest(path, limits=limits)
    dataset = parse_file(path, keywords=(*UIDS, *DESCRIBING), limits=limits).dataset
    with refusing("the header cannot be interpreted; send the file again"):
        uids = {keyword: _text(dataset.get(keyword)) for keyword in UIDS}
        described = {keyword: _text(dataset.get(keyword)) for keyword in DESCRIBING}
    for keyword, uid in uids.items():
        if not is_uid(uid):
            raise UnreadableInput(f"{keyword} is missing or no UID; the sender must correct it")
    return InstanceFacts(
        sop_class_uid=uids["SOPClassUID"],
        sop_uid=uids["SOPInstanceUID"],
        study_uid=uids["StudyInstanceUID"],
        series_uid=uids["SeriesInstanceUID"],
        transfer_syntax=digest.transfer_syntax,
        pixel_digest=digest.sha256,
        described={keyword: text for keyword, text in described.items() if text},
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    several = not isinstance(value, str) and hasattr(value, "__iter__")
    text = "\\".join(str(part) for part in value) if several else str(value)
    return text.replace("\0", "").strip()[:_LONGEST_TEXT]
