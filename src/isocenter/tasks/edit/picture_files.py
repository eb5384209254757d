"""Altered pictures as files of the kind that was read, and the proof of what was left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.core.outputs import Code
from isocenter.core.record import RunRecord
from isocenter.dicom.reading.single_image import read_single_image
from isocenter.dicom.writing.synthetic_image import (
    Stored,
    SyntheticImage,
    why_not_of_modality,
    write_synthetic_image,
)
from isocenter.modelpack.generator.family import Family
from isocenter.modelpack.generator.wish import Generated
from isocenter.tasks.edit.picture import Picture
from isocenter.tasks.generate.flat_volume import read_flat_volume, save_flat_volume
from isocenter.tasks.generate.image_files import ENDINGS, provenance_of
from isocenter.tasks.generate.making import said_of_image
from isocenter.tasks.generate.png_files import read_png, save_png


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """Writes what came of one picture, like that picture.

    Attributes:
        source: what was read.
        family: of the model.
        record: of the run.
        description: one sentence on the method.
        derivation: what was done, coded.
        of_modality: write DICOM of the modality's own class.
    """

    source: Picture
    family: Family
    record: RunRecord
    description: str
    derivation: Code
    of_modality: bool

    def name(self, number: int) -> str:
        """Of the file of an image, from 1."""
        return f"{number:04d}{ENDINGS[self.source.kind]}"

    def write(
        self, folder: Path, native: NDArray, image: Generated, number: int, **more: Any
    ) -> Path:
        """Write one image as it is stored.

        Args:
            native: (rows, columns), as the source has its numbers.
            image: for what it says of its making.
            more: further settings that it was made with.
        """
        path = folder / self.name(number)
        if self.source.kind == "png":
            stored = self.source.stored
            assert stored is not None
            said = said_of_image(self.record, image, **more)
            said |= {"slope": stored.slope, "intercept": stored.intercept, "unit": self.family.unit}
            save_png(native, path, said=said)
        elif self.source.kind == "nifti":
            assert self.source.geometry is not None
            save_flat_volume(native, self.source.geometry, path, unit=self.family.unit)
        else:
            self._write_dicom(path, native, image, number, more)
        return path

    def refuse_class(self) -> None:
        """Refuse the modality's own class where it cannot be written honestly.

        Raises:
            InputRefused: the source is no DICOM, or does not say what the class demands.
        """
        if not self.of_modality:
            return
        header = self.source.dicom
        if header is None:
            raise InputRefused(
                "--as says the class of DICOM objects, and results are of the kind that was read; "
                "leave it out"
            )
        reason = why_not_of_modality(
            self.family.modality,
            unit=header.unit,
            spacing_known=header.spacing_mm is not None,
            orientation_known=header.orientation is not None,
        )
        if reason or header.bits != 16 or header.inverted:
            reason = reason or "its pixels are not stored as such an object stores them"
            raise InputRefused(
                f"the result cannot be an object of {self.family.modality}: {reason}. Leave --as "
                "out for Secondary Capture"
            )

    def _write_dicom(
        self, path: Path, native: NDArray, image: Generated, number: int, more: dict[str, Any]
    ) -> None:
        header = self.source.dicom
        assert header is not None
        stored = Stored(
            bits=header.bits,
            bits_stored=header.bits_stored,
            signed=header.signed,
            slope=header.slope,
            intercept=header.intercept,
            unit=header.unit,
        )
        written = SyntheticImage(
            pixels=native,
            stored=stored,
            window=header.window or self._range_of(stored.values(native)),
            modality=self.family.modality,
            body_part=self.family.body_part,
            title=self.family.title,
            number=number,
            spacing_mm=header.spacing_mm,
            orientation=header.orientation,
            derivation=self.derivation,
            inverted=header.inverted,
            burned_in=header.burned_in,
            recognizable=header.recognizable,
            lossy=header.lossy,
        )
        write_synthetic_image(
            written,
            path,
            provenance=provenance_of(self.record, image, self.description, **more),
            run_digest=self.record.digest(),
            of_modality=self.of_modality,
        )

    def _range_of(self, values: NDArray) -> tuple[float, float]:
        low, high = float(values.min()), float(values.max())
        return (low + high) / 2, max(high - low, 1.0)

    def prove_kept(self, path: Path, where: NDArray[np.bool_]) -> int:
        """Read a written file again and see that nothing outside the region changed.

        Args:
            where: the region, (rows, columns).

        Returns:
            How many pixels lie outside; each is as it was, bit for bit.

        Raises:
            OutputRefused: one is not.
        """
        native = _native_in(path, self.source.kind, self.family)
        before = self.source.native
        same = native.shape == before.shape and np.array_equal(native[~where], before[~where])
        if not same:
            raise OutputRefused(
                "the written file does not hold the untouched part of the image bit for bit; "
                "nothing is kept of it. Try again, on another disk"
            )
        return int(np.count_nonzero(~where))


def _native_in(path: Path, kind: str, family: Family) -> NDArray:
    if kind == "png":
        return read_png(path).levels
    if kind == "nifti":
        return read_flat_volume(path, unit=family.unit).values
    return read_single_image(path).pixels
