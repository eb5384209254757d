"""How a result names the images that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy

from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from isocenter.core.outputs import Code
from isocenter.dicom.marking import code_item, code_items

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
SOURCE_SERIES = Code("121323", "DCM", "Source series for image processing operation")
SAME_ANATOMY = Code("122401", "DCM", "Same Anatomy")

_LOSSY_METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
}


def reference(image: Dataset) -> Dataset:
    """Class and instance of an image, as reference sequences want them."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


def source_image(
    image: Dataset, frames: Sequence[int] = (), *, same_places: bool = True
) -> Dataset:
    """One item of Source Image Sequence.

    Args:
        image: header of the source.
        frames: those that were used of a multi-frame image, counted from 1, as DICOM does.
        same_places: whether a pixel of the result lies where it lay in the source.
    """
    item = reference(image)
    if frames:
        item.ReferencedFrameNumber = list(frames)
    item.SpatialLocationsPreserved = "YES" if same_places else "NO"
    item.PurposeOfReferenceCodeSequence = [code_item(SOURCE_IMAGE)]
    return item


def refer_to_series(header: Dataset, images: Sequence[Dataset]) -> None:
    """Name the source series and their images where archives follow references."""
    by_series: dict[str, list[Dataset]] = {}
    for image in images:
        by_series.setdefault(image.SeriesInstanceUID, []).append(image)
    related = [_related(group[0]) for group in by_series.values()]
    header.RelatedSeriesSequence = [*(header.get("RelatedSeriesSequence") or ()), *related]
    for group in by_series.values():
        _list_instances(_series_of_study(header, group[0].StudyInstanceUID), group)


def _related(image: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = image.StudyInstanceUID
    item.SeriesInstanceUID = image.SeriesInstanceUID
    item.PurposeOfReferenceCodeSequence = [code_item(SOURCE_SERIES), code_item(SAME_ANATOMY)]
    return item


def _series_of_study(header: Dataset, study_uid: str) -> Dataset:
    """Where Referenced Series Sequence of a study belongs: the header, or an item for others."""
    if study_uid == header.StudyInstanceUID:
        return header
    studies = list(header.get("StudiesContainingOtherReferencedInstancesSequence") or ())
    for study in studies:
        if study.StudyInstanceUID == study_uid:
            return study
    study = Dataset()
    study.StudyInstanceUID = study_uid
    header.StudiesContainingOtherReferencedInstancesSequence = [*studies, study]
    return study


def _list_instances(holder: Dataset, images: Sequence[Dataset]) -> None:
    """Add one series to a Referenced Series Sequence, or replace it there."""
    item = Dataset()
    item.SeriesInstanceUID = images[0].SeriesInstanceUID
    item.ReferencedInstanceSequence = [reference(image) for image in images]
    known = list(holder.get("ReferencedSeriesSequence") or ())
    others = [one for one in known if one.SeriesInstanceUID != item.SeriesInstanceUID]
    holder.ReferencedSeriesSequence = [*others, item]


def derivation_codes(earlier: Iterable[Dataset], derivation: Code) -> list[Dataset]:
    """Earlier steps, then ours: one item for each successive step."""
    return [*deepcopy(list(earlier)), *code_items(derivation)]


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
