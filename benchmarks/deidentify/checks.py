"""What must be true of a de-identified set, in the ten classes of the validator of MIDI-B."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from benchmarks.deidentify.infused import IDENTIFIERS

TECHNICAL = (
    "SOPClassUID Modality BodyPartExamined Manufacturer ManufacturerModelName ImageType "
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness KVP "
    "ConvolutionKernel RescaleSlope RescaleIntercept InstanceNumber SeriesNumber Rows Columns"
).split()
DEMANDED = (
    "PatientID StudyInstanceUID SeriesInstanceUID SOPInstanceUID FrameOfReferenceUID "
    "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence "
    "LongitudinalTemporalInformationModified"
).split()
DESCRIBED = {
    "StudyDescription": "CT thorax",
    "SeriesDescription": "thin lung",
}
SPOKEN = (
    "okonkwo|marieke|threlkeld|ysgarwen|quimby|pemberwick|elowen|quillfeather|4471882|9930417|"
    "17.04.1961|19610417|0555 730|sn-8831|ctroom|st-55120|old-4471|rp-771|2024-02-29|elowen_pacs"
).split("|")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that must be true.

    Attributes:
        kind: class of MIDI-B.
        what: in words.
    """

    kind: str
    what: str
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An object before and after; ``after`` is None where a program made nothing of it."""

    name: str
    before: Path
    after: Path | None


def checks_of(pairs: Sequence[Pair], *, shifts: bool, describes: bool) -> Iterator[Check]:
    """All checks of a set.

    Args:
        shifts: whether dates were to be shifted; else they must be gone.
        describes: whether descriptions were to be cleaned and kept.
    """
    read = [(pair, dcmread(pair.before), _read(pair.after)) for pair in pairs]
    for pair, before, after in read:
        if after is None or pair.after is None:
            yield Check(kind="tag_retained", what=f"{pair.name}: an object", passed=False)
            continue
        yield from _of_texts(pair.name, before, after, describes=describes)
        yield from _left_in(pair.name, pair.after.read_bytes())
        yield from _of_dates(pair.name, before, after, shifts=shifts)
        yield from _of_uids(pair.name, before, after)
        same = before.PixelData == after.get("PixelData")
        yield Check(kind="pixels_retained", what=pair.name, passed=same)
    yield from _consistent([(before, after) for _, before, after in read if after is not None])


def _read(path: Path | None) -> Dataset | None:
    return None if path is None or not path.exists() else dcmread(path)


def _of_texts(name: str, before: Dataset, after: Dataset, *, describes: bool) -> Iterator[Check]:
    for keyword in TECHNICAL:
        same = keyword in after and after[keyword].value == before[keyword].value
        yield Check(kind="tag_retained", what=f"{name}: {keyword}", passed=same)
    for keyword in DEMANDED:
        yield Check(kind="text_notnull", what=f"{name}: {keyword}", passed=bool(after.get(keyword)))
    for keyword, words in DESCRIBED.items() if describes else ():
        kept = words in str(after.get(keyword, ""))
        yield Check(kind="text_retained", what=f"{name}: {keyword}", passed=kept)


def _left_in(name: str, content: bytes) -> Iterator[Check]:
    for word in SPOKEN:
        is_gone = word.encode() not in content.lower()
        yield Check(kind="text_removed", what=f"{name}: an identifier", passed=is_gone)
    for keyword in IDENTIFIERS:
        is_gone = IDENTIFIERS[keyword].encode() not in content
        yield Check(kind="text_removed", what=f"{name}: {keyword}", passed=is_gone)


def _of_dates(name: str, before: Dataset, after: Dataset, *, shifts: bool) -> Iterator[Check]:
    for keyword in ("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDateTime"):
        old, new = str(before[keyword].value), str(after.get(keyword, ""))
        passed = new[:8] != old[:8] and (bool(new) or not shifts)
        yield Check(kind="date_shifted", what=f"{name}: {keyword}", passed=passed)


def _of_uids(name: str, before: Dataset, after: Dataset) -> Iterator[Check]:
    for keyword in UIDS:
        changed = bool(after.get(keyword)) and after[keyword].value != before[keyword].value
        yield Check(kind="uid_changed", what=f"{name}: {keyword}", passed=changed)
    meta = after.file_meta.MediaStorageSOPInstanceUID
    fits = meta == after.get("SOPInstanceUID")
    yield Check(kind="uid_consistent", what=f"{name}: file meta", passed=fits)


def _consistent(read: Sequence[tuple[Dataset, Dataset]]) -> Iterator[Check]:
    for keyword in UIDS:
        passed = _is_one_to_one([(str(a[keyword].value), str(b.get(keyword))) for a, b in read])
        yield Check(kind="uid_consistent", what=keyword, passed=passed)
    people = [(str(a.PatientID), str(b.get("PatientID"))) for a, b in read]
    yield Check(kind="patid_consistent", what="PatientID", passed=_is_one_to_one(people))


def _is_one_to_one(pairs: Sequence[tuple[str, str]]) -> bool:
    forward, backward = dict(pairs), {new: old for old, new in pairs}
    return len(set(pairs)) == len(forward) == len(backward)
