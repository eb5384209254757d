"""Images of a family as files: DICOM objects, PNG pictures and NIfTI volumes of one slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.core.outputs import HOUNSFIELD, Code
from isocenter.core.record import RunRecord
from isocenter.dicom.marking import Provenance
from isocenter.dicom.writing.synthetic_image import (
    GENERATED,
    Stored,
    SyntheticImage,
    why_not_of_modality,
    write_synthetic_image,
)
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import Generated, Wish
from isocenter.tasks.generate.flat_volume import VIEWS, save_flat_volume, view_geometry
from isocenter.tasks.generate.making import record_of_image, said_of_image
from isocenter.tasks.generate.png_files import save_png
from isocenter.tasks.generate.settings import OF_MODALITY, GenerateSettings

ENDINGS = {"dicom": ".dcm", "png": ".png", "nifti": ".nii.gz"}
DRAWN_FROM_NOISE = "Drawn from noise by a diffusion model; it shows no patient."
_LIMITS = "Shows no patient. Not for diagnosis."

Write = Callable[[Path, Generated, int], int]
"""Writes one image, by path and number; gives how many values had to be clipped."""


def has_gray_levels(family: Family) -> bool:
    """Whether its images are gray levels of 8 bits."""
    return not family.unit and (family.low, family.high) == (0.0, 255.0)


def stored_in_png(family: Family, *, bits: int) -> Stored:
    """In PNG, black is the family's lowest value and white its highest."""
    slope = (family.high - family.low) / (2**bits - 1)
    return Stored(bits=bits, bits_stored=bits, signed=False, slope=slope, intercept=family.low)


def stored_in_dicom(family: Family, *, of_modality: bool) -> Stored:
    """Whole gray levels or HU where values are such, else the finest steps of 16 bits."""
    if has_gray_levels(family):
        bits = 16 if of_modality else 8
        return Stored(bits=bits, bits_stored=bits, signed=of_modality)
    if family.unit == HOUNSFIELD.name:
        return Stored(bits=16, bits_stored=16, signed=True, intercept=-1024.0, unit=HOUNSFIELD.name)
    slope = float(f"{(family.high - family.low) / (2**16 - 1):.6g}") * (1 + 1e-5)
    return Stored(
        bits=16,
        bits_stored=16,
        signed=False,
        slope=float(f"{slope:.6g}"),
        intercept=family.low,
        unit=family.unit,
    )


def plane_of(family: Family, wish: Wish) -> str:
    """How an image lies: as the wish says; CT across the patient; "" where that is free."""
    plane = wish.categories.get("plane", "axial" if family.modality == "CT" else "")
    return plane if plane in VIEWS else ""


def refuse_class(family: Family, wish: Wish) -> None:
    """Refuse objects of the modality's own class where something that it demands is not known.

    Raises:
        InputRefused: it cannot be written honestly.
    """
    reason = why_not_of_modality(
        family.modality,
        unit=family.unit,
        spacing_known=family.pixel_mm is not None,
        orientation_known=bool(plane_of(family, wish)),
    )
    if reason:
        raise InputRefused(
            f"{family.name} cannot be written as {family.modality} objects: {reason}. Leave --as "
            "out for Secondary Capture, or say what is missing"
        )


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """Writes the images of one run.

    Attributes:
        family: of the images.
        settings: say the format and the class of DICOM objects.
        record: of the run.
        description: one sentence on the method.
        derivation: what was done, coded.
    """

    family: Family
    settings: GenerateSettings
    record: RunRecord
    description: str = DRAWN_FROM_NOISE
    derivation: Code = GENERATED

    @property
    def ending(self) -> str:
        """Of the names of the files."""
        return ENDINGS[self.settings.format]

    def name(self, number: int) -> str:
        """Of the file of an image, from 1."""
        return f"{number:04d}{self.ending}"

    def write(self, folder: Path, image: Generated, number: int) -> int:
        """Write one image; gives how many values had to be clipped."""
        write: dict[str, Write] = {"dicom": self._dicom, "png": self._png, "nifti": self._nifti}
        return write[self.settings.format](folder / self.name(number), image, number)

    def _png(self, path: Path, image: Generated, number: int) -> int:
        stored = stored_in_png(self.family, bits=8 if has_gray_levels(self.family) else 16)
        levels, num_clipped = stored.of(image.values)
        save_png(levels, path, said=said_of_image(self.record, image, **self._scale(stored)))
        return num_clipped

    def _nifti(self, path: Path, image: Generated, number: int) -> int:
        family = self.family
        values = np.clip(image.values, family.low, family.high)
        step = family.pixel_mm or 1.0
        geometry = view_geometry(
            plane_of(family, image.wish) or "axial", values.shape, (step, step)
        )
        whole = has_gray_levels(family) or family.unit == HOUNSFIELD.name
        written: NDArray = np.rint(values) if whole else values
        save_flat_volume(written, geometry, path, unit=family.unit)
        return int(np.count_nonzero(values != image.values))

    def _dicom(self, path: Path, image: Generated, number: int) -> int:
        family = self.family
        of_modality = self.settings.written_as == OF_MODALITY
        stored = stored_in_dicom(family, of_modality=of_modality)
        pixels, num_clipped = stored.of(image.values)
        plane = plane_of(family, image.wish)
        column, row = VIEWS[plane] if plane else ((), ())
        drawn = SyntheticImage(
            pixels=pixels,
            stored=stored,
            window=family.window,
            modality=family.modality,
            body_part=family.body_part,
            title=family.title,
            number=number,
            spacing_mm=None if family.pixel_mm is None else (family.pixel_mm, family.pixel_mm),
            orientation=(*column, *row) if plane else None,
            derivation=self.derivation,
        )
        write_synthetic_image(
            drawn,
            path,
            provenance=provenance_of(self.record, image, self.description),
            run_digest=self.record.digest(),
            of_modality=of_modality,
        )
        return num_clipped

    def _scale(self, stored: Stored) -> dict[str, Any]:
        """What levels mean: a value is level * slope + intercept."""
        return {"slope": stored.slope, "intercept": stored.intercept, "unit": self.family.unit}


def provenance_of(run: RunRecord, image: Generated, description: str, **more: Any) -> Provenance:
    """What a DICOM object says of its making."""
    return Provenance(
        record=record_of_image(run, image, **more),
        model_description=f"{description} Weights SHA-256 {run.weights_sha256}.",
        limits=_LIMITS,
    )
