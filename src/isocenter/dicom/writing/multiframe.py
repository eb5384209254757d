"""What maps and masks share: one object of many frames, each at the place of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from isocenter.core.outputs import Code
from isocenter.dicom.marking import Provenance, code_items, derivation_text, mark
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.grid import Grid, Plane, SourceSlice
from isocenter.dicom.writing.image_kind import decimal
from isocenter.dicom.writing.references import refer_to_series, write_lossy
from isocenter.dicom.writing.study import copy_person_and_study


def concept(code: Code) -> CodedConcept:
    """A code as highdicom wants it."""
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def place_arguments(grid: Grid, planes: Sequence[Plane]) -> dict[str, Any]:
    """What highdicom is told of the place of frames.

    Scanners' headers hold values that highdicom refuses, so it sees geometry and an empty stand-in
    for the source; everything else is copied afterwards.
    """
    rows_mm, columns_mm = grid.geometry.spacing_mm[1:]
    return {
        "source_images": [_stand_in(grid, planes[0])],
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=[decimal(rows_mm), decimal(columns_mm)],
            slice_thickness=float(planes[0].thickness_mm or grid.geometry.spacing_mm[0]),
        ),
        "plane_orientation": hd.PlaneOrientationSequence(
            "PATIENT", [float(part) for part in planes[0].orientation]
        ),
        "plane_positions": [
            hd.PlanePositionSequence("PATIENT", [float(part) for part in plane.position_mm])
            for plane in planes
        ],
    }


def _stand_in(grid: Grid, plane: Plane) -> Dataset:
    header = grid.header(0)
    image = Dataset()
    image.SOPClassUID = CTImageStorage  # any class of one frame
    image.SOPInstanceUID = derived_uid("stand-in", "image")
    image.StudyInstanceUID = header.StudyInstanceUID
    image.SeriesInstanceUID = derived_uid("stand-in", "series")
    image.FrameOfReferenceUID = header.FrameOfReferenceUID
    image.Modality = "OT"
    image.Rows, image.Columns = grid.geometry.shape[1:]
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
        setattr(image, keyword, "")
    image.AccessionNumber = ""
    image.StudyDate = image.StudyTime = None
    image.ImagePositionPatient = list(plane.position_mm)
    image.ImageOrientationPatient = list(plane.orientation)
    image.PixelSpacing = [decimal(step) for step in grid.geometry.spacing_mm[1:]]
    image.SliceThickness = plane.thickness_mm
    return image


def order_frames(dataset: Dataset, planes: Sequence[Plane]) -> None:
    """Put the functional groups of frames into slice order; highdicom has an order of its own."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    positions = np.array([group.PlanePositionSequence[0].ImagePositionPatient for group in groups])
    ordered = []
    for plane in planes:
        position = np.array(plane.position_mm, float)
        distances = np.linalg.norm(positions.astype(float) - position, axis=1)
        ordered.append(groups[int(distances.argmin())])
    assert len({id(group) for group in ordered}) == len(groups) == len(planes)
    dataset.PerFrameFunctionalGroupsSequence = ordered


def complete(
    dataset: Dataset,
    grid: Grid,
    sources: Sequence[Sequence[SourceSlice]],
    *,
    provenance: Provenance,
    derivation: Code,
    made_at: datetime,
) -> None:
    """Add person, study, references and marks in place.

    Args:
        sources: of each frame, in their order.
    """
    copy_person_and_study(dataset, grid.header(0))
    text = derivation_text(provenance, made_from=grid.made_from())
    groups = dataset.PerFrameFunctionalGroupsSequence
    for group, of_frame in zip(groups, sources, strict=True):
        item = Dataset()
        item.DerivationDescription = text
        item.DerivationCodeSequence = code_items(derivation)
        item.SourceImageSequence = [source.reference() for source in of_frame]
        group.DerivationImageSequence = [item]
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)
    headers = [source.header for of_frame in sources for source in of_frame]
    used = list({header.SOPInstanceUID: header for header in headers}.values())
    if used:
        refer_to_series(dataset, used)
    write_lossy(dataset, used)
    _name_dimensions(dataset)
    mark(dataset, provenance, made_at=made_at, sources=grid.equipment(), purpose=grid.purpose)


def _name_dimensions(dataset: Dataset) -> None:
    """A Dimension Organization UID that a second run gives again."""
    uid = derived_uid("dimension", dataset.SeriesInstanceUID)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
