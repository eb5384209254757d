"""Headers of objects that are new: what a grid lends them, and who made them of what."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from isocenter.core.outputs import Code
from isocenter.dicom.marking import (
    Provenance,
    code_items,
    comment_text,
    derivation_text,
    mark,
    series_text,
)
from isocenter.dicom.uids import series_uid
from isocenter.dicom.writing.grid import Grid
from isocenter.dicom.writing.image_kind import decimal
from isocenter.dicom.writing.references import refer_to_series, write_lossy
from isocenter.dicom.writing.study import lent_header


@dataclass(frozen=True, kw_only=True)
class NewSeries:
    """What a new series says of itself.

    Attributes:
        role: tells its UIDs from those of other series of the run.
        band: from which its Series Number is counted; 0 for what stands for a scan.
        flag: first words of its description and comments.
        derivation: what was done.
        meaning: what a value means, in words; "" where that needs no saying.
    """

    role: str
    band: int
    flag: str
    derivation: Code
    meaning: str = ""


def new_header(grid: Grid, provenance: Provenance, series: NewSeries) -> Dataset:
    """What all images of a new series share."""
    header = lent_header(grid.header(0))
    digest = provenance.record.digest()
    header.SeriesInstanceUID = series_uid(grid.name(), digest, role=series.role)
    header.SeriesNumber = series.band + grid.series_number()
    header.SeriesDescription = series_text(provenance, grid.description(), flag=series.flag)
    comments = (series.meaning, comment_text(provenance, flag=series.flag))
    header.ImageComments = " ".join(part for part in comments if part)
    header.DerivationDescription = derivation_text(provenance, made_from=grid.made_from())
    if codes := code_items(series.derivation):
        header.DerivationCodeSequence = codes
    mark(
        header,
        provenance,
        made_at=provenance.clock(),
        sources=grid.equipment(),
        purpose=grid.purpose,
    )
    return header


def write_place(image: Dataset, grid: Grid, index: int) -> None:
    """Where one slice lies."""
    plane = grid.plane(index)
    image.ImagePositionPatient = list(plane.position_mm)
    image.ImageOrientationPatient = list(plane.orientation)
    image.SliceThickness = plane.thickness_mm
    image.PixelSpacing = [decimal(step) for step in grid.geometry.spacing_mm[1:]]
    image.SpacingBetweenSlices = decimal(grid.geometry.spacing_mm[0])
    along_mm = grid.geometry.position_mm(index) @ grid.geometry.slice_direction
    image.SliceLocation = decimal(float(along_mm))


def write_sources(image: Dataset, grid: Grid, index: int) -> None:
    """What one slice was made from."""
    sources = grid.sources(index)
    headers = [source.header for source in sources]
    write_lossy(image, headers)
    if sources:
        image.SourceImageSequence = [source.reference() for source in sources]
        refer_to_series(image, list({one.SOPInstanceUID: one for one in headers}.values()))
