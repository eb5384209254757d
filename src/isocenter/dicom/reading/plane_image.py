"""One image of one plane in a DICOM file of its own, whatever scanner made it.

For collections of single images, where neither a series nor a position is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from isocenter.core.acquisition import Acquisition
from isocenter.core.errors import InputRefused
from isocenter.dicom.decoding.parsing import open_stream, refusing
from isocenter.dicom.decoding.pixels import decode_frame, locate_frames
from isocenter.dicom.reading.frames import ImageFile, read_image_file
from isocenter.dicom.reading.header_kind import HeaderKind
from isocenter.dicom.reading.header_values import Values

SOP_CLASSES = tuple(
    str(uid)
    for uid in (
        CTImageStorage,
        MRImageStorage,
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        SecondaryCaptureImageStorage,
    )
)


def _no_acquisition(values: Values) -> Acquisition:
    return Acquisition()


_PLANE = HeaderKind(modality="", sop_classes=SOP_CLASSES, keywords=(), acquisition=_no_acquisition)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneImage:
    """Values of one image.

    Attributes:
        values: (row, column) float32: HU for CT, otherwise as the file scales them; bright is high.
        modality: DICOM Modality.
        is_synthetic: whether the file says that no scanner measured it.
    """

    values: NDArray
    modality: str
    is_synthetic: bool


def read_plane_image(path: Path, *, what: str = "the file") -> PlaneImage:
    """Read one gray image.

    Args:
        path: of the file.
        what: how messages call it.

    Raises:
        UnreadableInput: not DICOM, damaged or truncated.
        InputRefused: in color, of several frames, or of a kind that is not read.
    """
    file = read_image_file(path, _PLANE, file_index=0, what=what)
    _check(file, what)
    assert file.pixel_format is not None  # of the kinds that are read
    assert file.pixels is not None
    file.pixel_format.check()
    stream, _ = open_stream(path)
    with refusing(f"the pixels of {what} are damaged or truncated"), stream:
        layout = locate_frames(stream, file.pixels, file.pixel_format, what=what)
        raw = layout.read(stream, 0)
    stored = decode_frame(raw, file.pixel_format, file.pixels, what=what).astype(np.float64)
    frame = file.frames[0]
    values = stored * (frame.slope or 1.0) + (frame.intercept or 0.0)
    if file.photometric == "MONOCHROME1":
        low, high = file.pixel_format.stored_range
        values = low + high - stored
    return PlaneImage(
        values=values.astype(np.float32),
        modality=file.modality,
        is_synthetic=file.is_synthetic or file.was_enhanced,
    )


def _check(file: ImageFile, what: str) -> None:
    if file.sop_class_uid not in SOP_CLASSES:
        raise InputRefused(
            f"{what} is of a kind that is not read as one plane; CT, MR, CR, DX and secondary "
            "capture images are",
        )
    if file.missing:
        raise InputRefused(f"{what} lacks {', '.join(file.missing)} in its header")
    is_gray = file.photometric in ("MONOCHROME1", "MONOCHROME2") and file.samples_per_pixel == 1
    if not is_gray or file.declared_frames != 1:
        raise InputRefused(f"{what} is in color or holds several frames; one gray image is needed")
