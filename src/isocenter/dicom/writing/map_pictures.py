"""Maps in color as RGB Secondary Capture: to look at, in the place of the slices they show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from isocenter.core.files import flush
from isocenter.core.outputs import MapPictures
from isocenter.dicom.marking import PRODUCT, Provenance
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.derived_header import MAP_PICTURES_NUMBER_BAND
from isocenter.dicom.writing.files import empty_place, save
from isocenter.dicom.writing.new_grid import NewGrid, grid_of
from isocenter.dicom.writing.new_header import NewSeries, new_header, write_place, write_sources

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries


LEAST_COSINE = 1e-3


class MapPicturesWriter:
    """Writes one RGB picture a slice.

    A picture may have more rows than a slice, below it, for a legend: its first row, position and
    spacing are the slice's, so viewers still scroll both together. Burned In Annotation is the
    source's, as what is drawn in identifies nobody.
    """

    def __init__(
        self,
        place: ImageSeries | NewGrid,
        folder: Path,
        *,
        provenance: Provenance,
        output: MapPictures,
    ) -> None:
        """Start a series in an empty folder.

        Args:
            place: the series that the map is of, or a grid of its own.
            folder: exists and holds no series yet.

        Raises:
            OutputRefused: the folder does not exist or is taken.
        """
        self._grid = grid_of(place, provenance)
        self._folder = empty_place(folder, "IM*.dcm")
        self._provenance = provenance
        self._written: set[int] = set()
        self._header = self._series_header(output)

    def write(self, index: int, picture: NDArray) -> None:
        """Write the picture of one slice, (row, column, color) uint8.

        Raises:
            ValueError: another type, fewer rows or other columns than the slice has.
        """
        count, rows, columns = self._grid.geometry.shape
        fits = picture.ndim == 3 and picture.shape[0] >= rows and picture.shape[1:] == (columns, 3)
        if not fits or picture.dtype != np.uint8 or not 0 <= index < count:
            raise ValueError(
                f"a picture of {(rows, columns)} rows and columns has as many columns and 3 colors "
                f"of 8 bits, got {picture.shape} {picture.dtype} for slice {index} of {count}"
            )
        image = Dataset()
        image.update(self._header)
        image.SOPInstanceUID = derived_uid("picture", image.SeriesInstanceUID, str(index))
        image.InstanceNumber = index + 1
        write_place(image, self._grid, index)
        image.PatientOrientation = _in_letters(image.ImageOrientationPatient)
        write_sources(image, self._grid, index)
        image.Rows, image.Columns = picture.shape[:2]
        pixels = picture.tobytes()
        image.PixelData = pixels + b"\0" * (len(pixels) % 2)
        image["PixelData"].VR = "OB"
        save(image, self._path(index), product_version=self._provenance.record.product_version)
        self._written.add(index)

    def finish(self) -> list[Path]:
        """Complete the series; returns its files in slice order.

        Raises:
            ValueError: a slice was never written.
        """
        count = self._grid.geometry.shape[0]
        if missing := count - len(self._written):
            raise ValueError(f"{missing} of {count} pictures were not written")
        flush(self._folder)
        return [self._path(index) for index in range(count)]

    def _path(self, index: int) -> Path:
        return self._folder / f"IM{index + 1:04d}.dcm"

    def _series_header(self, output: MapPictures) -> Dataset:
        of_map = output.map
        series = NewSeries(
            role=f"pictures {output.name}",
            band=MAP_PICTURES_NUMBER_BAND,
            flag=f"{of_map.flag} {of_map.content_label} COLOR",
            derivation=of_map.derivation,
            meaning=f"In color, not for measuring: {of_map.meaning}",
        )
        header = new_header(self._grid, self._provenance, series)
        header.SOPClassUID = SecondaryCaptureImageStorage
        header.Modality = "OT"
        header.ConversionType = "WSD"
        header.SecondaryCaptureDeviceManufacturer = PRODUCT
        header.SecondaryCaptureDeviceManufacturerModelName = header.ManufacturerModelName
        header.SecondaryCaptureDeviceSoftwareVersions = list(header.SoftwareVersions)
        header.ImageType = ["DERIVED", "SECONDARY", "OTHER", of_map.content_label]
        header.SamplesPerPixel = 3
        header.PhotometricInterpretation = "RGB"
        header.PlanarConfiguration = 0
        header.BitsAllocated = header.BitsStored = 8
        header.HighBit = 7
        header.PixelRepresentation = 0
        return header


def _in_letters(orientation: Sequence[float]) -> list[str]:
    """Patient Orientation: where rows and columns go, the main direction first (C.7.6.1.1.1)."""
    cosines = np.array([float(part) for part in orientation]).reshape(2, 3)
    return [_letters(direction) for direction in cosines]


def _letters(direction: NDArray) -> str:
    towards = ("LPH" if part > 0 else "RAF" for part in direction)
    names = [letters[axis] for axis, letters in enumerate(towards)]
    order = np.argsort(-np.abs(direction), kind="stable")
    return "".join(names[axis] for axis in order if abs(direction[axis]) > LEAST_COSINE)
