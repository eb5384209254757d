"""Headers of derived Enhanced CT objects: one file, one functional group item for each frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from isocenter.core.outputs import Code, SeriesOutput
from isocenter.dicom.marking import (
    Provenance,
    code_item,
    comment_text,
    derivation_text,
    from_slices,
    mark,
)
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.derived_header import write_identity
from isocenter.dicom.writing.kept_header import kept_header
from isocenter.dicom.writing.references import (
    derivation_codes,
    refer_to_series,
    reference,
    source_image,
    write_lossy,
)

FILTERED = "FILTERED"
"""Value 4 of Image Type and Frame Type: enhanced objects allow no word of our own there."""

UNKNOWN_BODY_PART = Code("38266002", "SCT", "Entire body")

_CONVERTED = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "ConversionSourceAttributesSequence",
)

_WORTH_KEEPING = ("ConvolutionKernel", "KVP", "CTDIvol", "ReconstructionDiameter")
"""What a conversion from classic images left unassigned and a reader may still want."""

Frame = tuple[Dataset, int]
"""Header of a multi-frame source and a frame in it, counted from 0."""


def multiframe_header(
    windows: Sequence[Sequence[Frame]],
    provenance: Provenance,
    output: SeriesOutput,
    *,
    made_at: datetime,
    variant: str = "",
) -> Dataset:
    """Header of one derived Enhanced CT image, ready for its pixels.

    Args:
        windows: for each frame to write, in writing order, the source frames it was computed from,
            that at the same place first; these first ones all come from one source object.
        made_at: time of making, with time zone.
        variant: as in :class:`isocenter.dicom.writing.derived_series.DerivedSeriesWriter`.
    """
    source = windows[0][0][0]
    header = kept_header(source)
    header.SOPClassUID = EnhancedCTImageStorage
    header.ImageType = _derived_type(source.get("ImageType"))
    write_identity(header, source, provenance, output, variant=variant)
    mark(header, provenance, made_at=made_at, sources=[header])
    header.ImageComments = comment_text(provenance, flag=output.flag)
    objects = _objects(frame for window in windows for frame in window)
    refer_to_series(header, objects)
    _write_evidence(header, objects)
    write_lossy(header, [source])
    _fill_enhanced(header)
    groups = header.PerFrameFunctionalGroupsSequence
    header.PerFrameFunctionalGroupsSequence = [groups[window[0][1]] for window in windows]
    header.NumberOfFrames = len(windows)
    _dissolve_conversion(header)
    _write_frame_types(header)
    _write_frame_derivations(header, windows, provenance, output)
    _fill_dimensions(header)
    return header


def _derived_type(source_type: Sequence[str] | None) -> list[str]:
    values = list(source_type or ())
    flavor = values[2] if len(values) > 2 else "VOLUME"
    return ["DERIVED", "PRIMARY", flavor, FILTERED]


def _fill_enhanced(header: Dataset) -> None:
    """Elements that Enhanced CT demands and a conversion may lack."""
    defaults = {
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
        "BurnedInAnnotation": "NO",
        "PresentationLUTShape": "IDENTITY",
        "InstanceNumber": 1,
    }
    for keyword, value in defaults.items():
        if not header.get(keyword):
            setattr(header, keyword, value)
    if "AcquisitionContextSequence" not in header:
        header.AcquisitionContextSequence = []


def _groups(header: Dataset) -> Iterator[Dataset]:
    yield from header.SharedFunctionalGroupsSequence
    yield from header.PerFrameFunctionalGroupsSequence


def _dissolve_conversion(header: Dataset) -> None:
    """Leave the form of Legacy Converted Enhanced CT, which is not allowed in Enhanced CT."""
    for keyword in _CONVERTED:
        for group in _groups(header):
            for item in group.get(keyword) or ():
                _keep_worthy(header, item)
            if keyword in group:
                delattr(group, keyword)
    if not any("FrameAnatomySequence" in group for group in _groups(header)):
        anatomy = Dataset()
        anatomy.AnatomicRegionSequence = [code_item(UNKNOWN_BODY_PART)]
        anatomy.FrameLaterality = "U"
        header.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]


def _keep_worthy(header: Dataset, converted: Dataset) -> None:
    for keyword in _WORTH_KEEPING:
        if keyword in converted and keyword not in header:
            header[keyword] = converted[keyword]


def _write_frame_types(header: Dataset) -> None:
    holders = [group for group in _groups(header) if "CTImageFrameTypeSequence" in group]
    if not holders:
        holders = [header.SharedFunctionalGroupsSequence[0]]
        holders[0].CTImageFrameTypeSequence = [Dataset()]
    for group in holders:
        item = group.CTImageFrameTypeSequence[0]
        item.FrameType = _derived_type(item.get("FrameType") or header.ImageType)
        for keyword in (
            "PixelPresentation",
            "VolumetricProperties",
            "VolumeBasedCalculationTechnique",
        ):
            if keyword not in item:
                setattr(item, keyword, header[keyword].value)


def _write_frame_derivations(
    header: Dataset,
    windows: Sequence[Sequence[Frame]],
    provenance: Provenance,
    output: SeriesOutput,
) -> None:
    shared = header.SharedFunctionalGroupsSequence[0]
    for_all = list(shared.get("DerivationImageSequence") or ())
    if for_all:
        del shared.DerivationImageSequence
    text = derivation_text(provenance, made_from=from_slices(provenance))
    for window, group in zip(windows, header.PerFrameFunctionalGroupsSequence, strict=True):
        item = Dataset()
        item.DerivationDescription = text
        item.DerivationCodeSequence = derivation_codes((), output.derivation)
        item.SourceImageSequence = _source_frames(window)
        earlier = [*for_all, *(group.get("DerivationImageSequence") or ())]
        group.DerivationImageSequence = [*deepcopy(earlier), item]


def _write_evidence(header: Dataset, objects: Sequence[Dataset]) -> None:
    """Source Image Evidence: all source objects by study and series, the source's own kept."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = objects[0].SeriesInstanceUID
    series.ReferencedSOPSequence = [reference(image) for image in objects]
    study.StudyInstanceUID = objects[0].StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    earlier = header.get("SourceImageEvidenceSequence") or ()
    header.SourceImageEvidenceSequence = [*earlier, study]


def _source_frames(window: Sequence[Frame]) -> list[Dataset]:
    items = []
    for image in _objects(window):
        frames = [frame + 1 for source, frame in window if source is image]
        items.append(source_image(image, frames=frames))
    return items


def _objects(frames: Iterable[Frame]) -> list[Dataset]:
    """The source objects of some frames, each once, in order of appearance."""
    return list({id(source): source for source, _ in frames}.values())


def _fill_dimensions(header: Dataset) -> None:
    """Multi-frame objects need a dimension; position in the stack where the source has none."""
    if header.get("DimensionIndexSequence") and header.get("DimensionOrganizationSequence"):
        return
    uid = derived_uid("dimension", header.SeriesInstanceUID)
    organization, index = Dataset(), Dataset()
    organization.DimensionOrganizationUID = index.DimensionOrganizationUID = uid
    index.DimensionIndexPointer = 0x00200032  # Image Position (Patient)
    index.FunctionalGroupPointer = 0x00209113  # Plane Position Sequence
    header.DimensionOrganizationSequence = [organization]
    header.DimensionIndexSequence = [index]
    for place, group in enumerate(header.PerFrameFunctionalGroupsSequence):
        if not group.get("FrameContentSequence"):
            group.FrameContentSequence = [Dataset()]
        group.FrameContentSequence[0].DimensionIndexValues = [place + 1]
