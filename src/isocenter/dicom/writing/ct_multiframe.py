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
    header = kept_header(source, EnhancedCTImageStorage)
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
    _fill_groups(header, source, _dissolve_conversion(header))
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


def _dissolve_conversion(header: Dataset) -> list[Dataset]:
    """Leave the form of Legacy Converted Enhanced CT, which is not allowed in Enhanced CT.

    Returns what the conversion could not assign. Kernel, tube voltage and dose are there too: the
    groups of Enhanced CT that hold them demand more than a classic image says, so they stay with
    the source.
    """
    unassigned: list[Dataset] = []
    for keyword in _CONVERTED:
        for group in _groups(header):
            unassigned += group.get(keyword) or ()
            if keyword in group:
                delattr(group, keyword)
    return unassigned


def _fill_groups(header: Dataset, source: Dataset, converted: Sequence[Dataset]) -> None:
    """Functional groups that Enhanced CT demands and a conversion may lack."""
    groups, shared = list(_groups(header)), header.SharedFunctionalGroupsSequence[0]
    if not any("FrameAnatomySequence" in group for group in groups):
        anatomy = Dataset()
        anatomy.AnatomicRegionSequence = [code_item(UNKNOWN_BODY_PART)]
        anatomy.FrameLaterality = "U"
        shared.FrameAnatomySequence = [anatomy]
    if not any("IrradiationEventIdentificationSequence" in group for group in groups):
        event = Dataset()
        event.IrradiationEventUID = _irradiation_events(source, converted)
        shared.IrradiationEventIdentificationSequence = [event]
    for group in groups:
        _mend_group(group, has_evidence="ReferencedImageEvidenceSequence" in header)
    if "Laterality" in header:
        del header.Laterality  # each frame has its own


def _mend_group(group: Dataset, *, has_evidence: bool) -> None:
    """Give a frame a laterality, and drop references that a conversion left without a purpose."""
    for anatomy in group.get("FrameAnatomySequence") or ():
        anatomy.FrameLaterality = anatomy.get("FrameLaterality") or "U"
    referenced = group.get("ReferencedImageSequence") or ()
    explained = all(item.get("PurposeOfReferenceCodeSequence") for item in referenced)
    if referenced and not (explained and has_evidence):
        del group.ReferencedImageSequence


def _irradiation_events(source: Dataset, converted: Sequence[Dataset]) -> list[str]:
    """What a conversion knows; a UID of the series' own where nobody named an event."""
    known = [str(item.IrradiationEventUID) for item in (source, *converted) if _has_event(item)]
    named = list(dict.fromkeys(known))
    return named or [derived_uid("irradiation event", source.SeriesInstanceUID)]


def _has_event(item: Dataset) -> bool:
    return isinstance(item.get("IrradiationEventUID"), str)


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
