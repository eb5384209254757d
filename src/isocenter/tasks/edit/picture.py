"""A picture to alter: as its file stores it, as the model sees it, and back.

What is not altered must come out as it went in, so numbers are kept as the file has them, and only
what a model drew is turned into such numbers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.files import named_path
from isocenter.core.volume import Geometry
from isocenter.dicom.reading.single_image import SingleImage, read_single_image
from isocenter.dicom.writing.synthetic_image import Stored
from isocenter.image.volume_files import is_volume_file
from isocenter.modelpack.generator.family import Family
from isocenter.tasks.generate.flat_volume import read_flat_volume
from isocenter.tasks.generate.image_files import stored_in_png
from isocenter.tasks.generate.png_files import read_png

_MODALITIES = {"CR": "DX", "DR": "DX", "RG": "DX", "PX": "DX"}
_OF_NO_MODALITY = ("", "OT", "SC")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture and where it came from.

    Attributes:
        native: (rows, columns) as the file has it: integers, or float32 of a volume file.
        kind: "png", "nifti" or "dicom".
        stored: how integers stand for the family's values; None where ``native`` is in them.
        geometry: of a volume file.
        dicom: of a DICOM file, everything but who it shows.
        notes: what was assumed, in words.
    """

    native: NDArray
    kind: str
    stored: Stored | None
    geometry: Geometry | None = None
    dicom: SingleImage | None = None
    notes: tuple[str, ...] = ()

    def values(self, family: Family) -> NDArray[np.float32]:
        """What the model sees: the family's values, those beyond its range at its ends."""
        plain = self.native if self.stored is None else self.stored.values(self.native)
        return np.clip(plain, family.low, family.high).astype(np.float32)

    def altered(self, values: NDArray, where: NDArray[np.bool_]) -> tuple[NDArray, int]:
        """``native`` with new values where they belong, and how many had to be clipped.

        Args:
            values: of the family, (rows, columns).
            where: same shape; everywhere else not a bit changes.
        """
        native, num_clipped = self.native.copy(), 0
        if self.stored is not None:
            native[where], num_clipped = self.stored.of(values[where])
        else:
            whole = bool((native == np.rint(native)).all())
            native[where] = np.rint(values[where]) if whole else values[where]
        return native, num_clipped

    def digest(self) -> str:
        """Hexadecimal SHA-256 over size, numbers and what they mean."""
        said = f"{self.kind} {self.native.shape} {self.native.dtype.name} {self.stored}"
        content = np.ascontiguousarray(self.native).tobytes()
        return hashlib.sha256(said.encode() + content).hexdigest()


def open_picture(path: str | Path, family: Family, *, resize: bool) -> Picture:
    """Read a PNG, a volume file of one slice, or a DICOM file of one image.

    Args:
        resize: resample a picture of another size than the family's; without it, such a one is
            refused.

    Raises:
        InputRefused: not readable, or not what the family's images are.
    """
    path = named_path(path)
    if not path.is_file():
        raise UnreadableInput(
            "the image does not exist, or is no plain file", reason="no_such_input"
        )
    if path.suffix.lower() == ".png":
        picture = _from_png(path, family)
    elif is_volume_file(path):
        picture = _from_volume(path, family)
    else:
        picture = _from_dicom(path, family)
    if picture.native.shape == (family.rows, family.columns):
        return picture
    if not resize:
        raise InputRefused(
            f"the image has {picture.native.shape[0]} rows and {picture.native.shape[1]} columns; "
            f"{family.name} takes {family.rows} x {family.columns}. Resample it, or add --resize "
            "(resize=True)",
            reason="matrix",
        )
    return _resized(picture, family)


def resized_mask(mask: NDArray, rows: int, columns: int) -> NDArray:
    """A label map of another size; no label comes in that was not there."""
    picture = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(picture.resize((columns, rows), Image.Resampling.NEAREST))


def _from_png(path: Path, family: Family) -> Picture:
    png = read_png(path)
    if not png.is_gray:
        raise InputRefused(
            "the picture has a palette, or is of black and white alone; save it as gray levels of "
            "8 or 16 bits"
        )
    stored = stored_in_png(family, bits=png.bits)
    return Picture(native=png.levels, kind="png", stored=stored)


def _from_volume(path: Path, family: Family) -> Picture:
    flat = read_flat_volume(path, unit=family.unit)
    if flat.unit != family.unit:
        raise InputRefused(
            f"the file says that it is in {flat.unit or 'no unit'}, and {family.name} are in "
            f"{family.unit or 'gray levels without a unit'}",
            reason="unit",
        )
    if not family.unit:
        _refuse_beyond(flat.values, family)
    return Picture(native=flat.values, kind="nifti", stored=None, geometry=flat.geometry)


def _refuse_beyond(values: NDArray, family: Family) -> None:
    if values.min() < family.low or values.max() > family.high:
        raise InputRefused(
            f"the values reach from {values.min():g} to {values.max():g}; {family.name} are from "
            f"{family.low:g} to {family.high:g}: bring them into that range first",
            reason="range",
        )


def _from_dicom(path: Path, family: Family) -> Picture:
    image = read_single_image(path)
    modality = _MODALITIES.get(image.modality, image.modality)
    if modality not in (family.modality, *_OF_NO_MODALITY):
        raise InputRefused(
            f"the image is {modality}, {family.name} are {family.modality}; give an image of that "
            "kind"
        )
    if image.bits > 16:
        raise InputRefused(
            f"pixels of {image.bits} bits are not altered; 8 and 16 are", reason="bit_depth"
        )
    if image.unit != family.unit:
        raise InputRefused(
            f"the image is in {image.unit or 'no unit'}, and {family.name} are in "
            f"{family.unit or 'gray levels without a unit'}",
            reason="unit",
        )
    stored = Stored(
        bits=image.bits,
        bits_stored=image.bits_stored,
        signed=image.signed,
        slope=image.slope,
        intercept=image.intercept,
        unit=image.unit,
    )
    scaled, notes = (stored, ()) if family.unit else _by_window(image, stored, family)
    return Picture(native=image.pixels, kind="dicom", stored=scaled, dicom=image, notes=notes)


def _by_window(
    image: SingleImage, stored: Stored, family: Family
) -> tuple[Stored, tuple[str, ...]]:
    """Gray levels of a scanner as those of the family: black and white of the window agree."""
    values = stored.values(image.pixels)
    fits = values.min() >= family.low and values.max() <= family.high
    if fits and not image.inverted and image.bits_stored == 8:
        return stored, ()
    low, high = float(values.min()), float(values.max())
    if image.window is not None:
        center, width = image.window
        low, high = center - width / 2, center + width / 2
    if not high > low:
        raise InputRefused("the image is of one value throughout; there is nothing to alter")
    black, white = (high, low) if image.inverted else (low, high)
    scale = (family.high - family.low) / (white - black)
    changed = replace(
        stored,
        slope=stored.slope * scale,
        intercept=family.low + (stored.intercept - black) * scale,
    )
    note = (
        f"Gray levels from {low:g} to {high:g}, the window of the image, were taken for the "
        f"{family.low:g} to {family.high:g} of the model; what is drawn lies between them."
    )
    return changed, (note,)


def _resized(picture: Picture, family: Family) -> Picture:
    rows, columns = family.rows, family.columns
    before = picture.native.shape
    plain = Image.fromarray(picture.native.astype(np.float32))
    native = np.asarray(plain.resize((columns, rows), Image.Resampling.BILINEAR))
    if picture.stored is not None:
        native = np.rint(native)
    steps = before[0] / rows, before[1] / columns
    note = f"Resampled from {before[0]} x {before[1]} to {rows} x {columns} pixels."
    if abs(steps[0] / steps[1] - 1) > 0.01:
        note += " Its sides have another proportion than they had, so shapes are squeezed."
    return replace(
        picture,
        native=native.astype(picture.native.dtype),
        geometry=_resized_geometry(picture.geometry, (rows, columns), steps),
        dicom=_resized_header(picture.dicom, steps),
        notes=(*picture.notes, note),
    )


def _resized_geometry(
    geometry: Geometry | None, shape: tuple[int, int], steps: tuple[float, float]
) -> Geometry | None:
    """The same place in the patient on another grid."""
    if geometry is None:
        return None
    slice_mm, row_mm, column_mm = geometry.spacing_mm
    first = geometry.position_mm(0, (steps[0] - 1) / 2, (steps[1] - 1) / 2)
    return replace(
        geometry,
        shape=(1, *shape),
        spacing_mm=(slice_mm, row_mm * steps[0], column_mm * steps[1]),
        origin_mm=(float(first[0]), float(first[1]), float(first[2])),
    )


def _resized_header(header: SingleImage | None, steps: tuple[float, float]) -> SingleImage | None:
    if header is None or header.spacing_mm is None:
        return header
    rows_mm, columns_mm = header.spacing_mm
    return replace(header, spacing_mm=(rows_mm * steps[0], columns_mm * steps[1]))
