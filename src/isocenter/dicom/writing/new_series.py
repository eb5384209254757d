"""New series on disk: absolute values on a grid of their own, from sources or from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.acquisition import Acquisition
from isocenter.core.files import flush, part_of
from isocenter.core.outputs import Code, MapOutput, SeriesOutput
from isocenter.core.volume import Geometry
from isocenter.dicom.marking import Provenance, code_item, fitted
from isocenter.dicom.uids import derived_uid
from isocenter.dicom.writing.derived_header import SERIES_NUMBER_BAND
from isocenter.dicom.writing.files import empty_place, save
from isocenter.dicom.writing.grid import Grid, check_slice
from isocenter.dicom.writing.image_kind import decimal
from isocenter.dicom.writing.modalities import image_kind
from isocenter.dicom.writing.new_grid import NewGrid, OwnGrid
from isocenter.dicom.writing.new_header import NewSeries, new_header, write_place, write_sources
from isocenter.dicom.writing.scale import HIGHEST, LOWEST, Scale, fitting_scale
from isocenter.dicom.writing.study import Subject

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries

QUANTITY = Code("246205007", "SCT", "Quantity")
SHOWN_PERCENTILES = (0.5, 99.5)


class NewSeriesWriter:
    """Writes a new series of single-frame images, slice by slice.

    CT values are stored in whole HU, each slice at once. Values of other kinds share one scale that
    needs the range of all of them, so slices wait on the disk until :meth:`finish`. A file has its
    name only once it is complete and on the disk; what a killed process leaves ends in ".part". The
    same record, grid and values give the same UIDs and pixels again.

    Attributes:
        num_clipped: pixels so far whose value did not fit.
    """

    def __init__(
        self,
        folder: Path,
        *,
        geometry: Geometry,
        acquisition: Acquisition,
        provenance: Provenance,
        output: SeriesOutput,
        sources: Sequence[ImageSeries] = (),
        subject: Subject | None = None,
        grid: Grid | None = None,
        of_map: MapOutput | None = None,
        band: int = SERIES_NUMBER_BAND,
    ) -> None:
        """Start a series in an empty folder.

        Args:
            folder: exists and holds no series yet.
            geometry: of the new series, in the frame of reference of the first source.
            acquisition: what is true of the new series; what is unknown stays empty.
            provenance: of the run; decides UIDs and texts.
            output: what the result is; its modality decides the kind of object.
            sources: what it was made from. Patient, study and frame of reference are the first
                one's; without sources they are nobody's and new.
            subject: who that nobody is.
            grid: where it lies, instead of the grid that geometry, sources and subject make.
            of_map: the map whose values these are; says what they mean, and the finest scale that
                fits takes the place of whole numbers.
            band: from which the Series Number is counted.

        Raises:
            ValueError: images of this modality or unit are not written.
            OutputRefused: the folder does not exist or is taken.
        """
        self._kind = image_kind(output.modality)
        if of_map is not None:
            scale = Scale(slope=of_map.image_step) if of_map.image_step else None
            self._kind = replace(self._kind, unit="", scale=scale, window=of_map.window)
        if self._kind.unit not in ("", output.unit.name):
            raise ValueError(
                f"a {output.modality} series holds {self._kind.unit}, this output "
                f"{output.unit.name!r}; convert it first"
            )
        self._folder = empty_place(Path(folder), "IM*.dcm")
        self._geometry = geometry
        self._provenance = provenance
        self._output = output
        self._scale = self._kind.scale
        self._map, self._band = of_map, band
        if grid is None:
            new = NewGrid(
                geometry=geometry,
                acquisition=acquisition,
                sources=tuple(sources),
                subject=subject or Subject(),
            )
            grid = OwnGrid(new, provenance)
        self._grid = grid
        self._header = self._series_header(acquisition)
        self._waiting = _WaitingSlices(part_of(self._folder / "values"), geometry.shape)
        self._written: set[int] = set()
        self.num_clipped = 0

    def write(self, index: int, values: NDArray, *, valid: NDArray | None = None) -> int:
        """Write one slice, (row, column) in the unit of the output; returns how many were clipped.

        Args:
            index: from 0.
            values: finite where ``valid``.
            valid: same shape, False where there is no value; such pixels become padding.

        Raises:
            ValueError: another shape, or values that are not finite.
        """
        check_slice(self._geometry, index, values)
        with np.errstate(over="ignore"):  # what is too large is refused next
            values = np.asarray(values, np.float32)
        if not np.all(np.isfinite(values if valid is None else values[valid])):
            raise ValueError("new values must be finite in every pixel that is valid")
        num_clipped = 0
        if self._scale is None:
            self._waiting.put(index, values, valid)
        else:
            num_clipped = self._write_image(index, values, valid, self._scale)
        self._written.add(index)
        self.num_clipped += num_clipped
        return num_clipped

    def finish(self) -> list[Path]:
        """Complete the series; returns its files in slice order.

        Raises:
            ValueError: a slice was never written.
        """
        count = self._geometry.shape[0]
        if missing := count - len(self._written):
            raise ValueError(f"{missing} of {count} slices were not written")
        if self._scale is None:
            scale = self._waiting.scale()
            for index in range(count):
                self._write_image(index, *self._waiting.get(index), scale)
            self._waiting.remove()
        flush(self._folder)
        return [self._path(index) for index in range(count)]

    def _path(self, index: int) -> Path:
        return self._folder / f"IM{index + 1:04d}.dcm"

    def _series_header(self, acquisition: Acquisition) -> Dataset:
        """What all slices share."""
        output, grid = self._output, self._grid
        band = self._band if grid.equipment() else 0
        series = NewSeries(
            role=f"new series {output.name}",
            band=band if self._map is None else self._band,
            flag=output.flag,
            derivation=output.derivation,
            meaning=self._map.meaning if self._map else "",
        )
        header = new_header(grid, self._provenance, series)
        header.SOPClassUID = self._kind.sop_class_uid
        header.Modality = output.modality
        header.ImageType = self._kind.image_type(output.image_type, flavor=output.image_flavor)
        self._kind.write_acquisition(header, acquisition)
        if not grid.equipment():
            _write_study_time(header)
        self._write_pixel_format(header)
        return header

    def _write_pixel_format(self, header: Dataset) -> None:
        header.SamplesPerPixel = 1
        header.PhotometricInterpretation = "MONOCHROME2"
        header.Rows, header.Columns = self._geometry.shape[1:]
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit = 15
        header.PixelRepresentation = 1

    def _write_image(self, index: int, values: NDArray, valid: NDArray | None, scale: Scale) -> int:
        image = Dataset()
        image.update(self._header)
        role = f"new image {self._output.name}"
        image.SOPInstanceUID = derived_uid(role, image.SeriesInstanceUID, str(index))
        image.InstanceNumber = index + 1
        write_place(image, self._grid, index)
        write_sources(image, self._grid, index)
        self._write_meaning(image, scale)
        if valid is not None:
            image.add_new("PixelPaddingValue", "SS", scale.padding)
        stored, num_clipped = scale.stored(values, valid)
        image.PixelData = stored.astype("<i2").tobytes()
        image["PixelData"].VR = "OW"
        save(image, self._path(index), product_version=self._provenance.record.product_version)
        return num_clipped

    def _write_meaning(self, image: Dataset, scale: Scale) -> None:
        """From stored integers to values and what they are."""
        unit = self._output.unit
        low, high = self._kind.window or self._waiting.window()
        image.WindowCenter = decimal((low + high) / 2)
        image.WindowWidth = decimal(max(high - low, scale.slope))
        if self._rescale_type() != "US" or scale != Scale():
            image.RescaleIntercept = decimal(scale.intercept)
            image.RescaleSlope = decimal(scale.slope)
            image.RescaleType = self._rescale_type()
        if self._kind.unit or not unit.name:
            return
        image.RealWorldValueMappingSequence = [self._mapping(scale)]

    def _rescale_type(self) -> str:
        """Of the unit; of a map in another unit than images of its modality, unspecified."""
        kind = image_kind(self._output.modality)
        stated = kind.rescale_type if kind.unit == self._output.unit.name else ""
        return stated or "US"

    def _mapping(self, scale: Scale) -> Dataset:
        """What the stored integers are in the unit, as every viewer that measures wants it."""
        output, of_map = self._output, self._map
        mapping = Dataset()
        mapping.add_new("RealWorldValueFirstValueMapped", "SS", LOWEST + 1)
        mapping.add_new("RealWorldValueLastValueMapped", "SS", HIGHEST)
        mapping.RealWorldValueIntercept = scale.intercept
        mapping.RealWorldValueSlope = scale.slope
        mapping.LUTLabel = fitted(of_map.content_label if of_map else output.name.upper(), 16)
        mapping.LUTExplanation = fitted(of_map.meaning if of_map else output.label, 64)
        mapping.MeasurementUnitsCodeSequence = [code_item(output.unit.code)]
        if of_map is not None:
            quantity = Dataset()
            quantity.ValueType = "CODE"
            quantity.ConceptNameCodeSequence = [code_item(QUANTITY)]
            quantity.ConceptCodeSequence = [code_item(of_map.quantity)]
            mapping.QuantityDefinitionSequence = [quantity]
        return mapping


def _write_study_time(header: Dataset) -> None:
    """A study of nobody begins when it is made."""
    for name in ("Study", "Acquisition"):
        setattr(header, f"{name}Date", header.SeriesDate)
        setattr(header, f"{name}Time", header.SeriesTime)


class _WaitingSlices:
    """Slices on the disk until the range of all of them is known; NaN where there is no value."""

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._path = path
        self._shape = shape[1:]
        self._largest = 0.0
        self._are_whole = True
        self._ranges: dict[int, tuple[float, float]] = {}
        self._masked: set[int] = set()

    def put(self, index: int, values: NDArray, valid: NDArray | None) -> None:
        present = values if valid is None else values[valid]
        if present.size:
            self._largest = max(self._largest, float(np.abs(present).max()))
            self._are_whole = self._are_whole and bool(np.all(present == np.rint(present)))
            low, high = np.percentile(present, SHOWN_PERCENTILES)
            self._ranges[index] = float(low), float(high)
        if valid is not None:
            values = np.where(valid, values, np.nan)
            self._masked.add(index)
        with self._path.open("r+b" if self._path.exists() else "w+b") as file:
            file.seek(index * self._shape[0] * self._shape[1] * 4)
            file.write(values.astype("<f4").tobytes())

    def get(self, index: int) -> tuple[NDArray, NDArray | None]:
        """Values and mask of a slice, as they were put."""
        count = self._shape[0] * self._shape[1]
        values = np.fromfile(self._path, "<f4", count, offset=4 * index * count)
        values = values.reshape(self._shape)
        valid = np.isfinite(values) if index in self._masked else None
        return values, valid

    def scale(self) -> Scale:
        return fitting_scale(self._largest, are_whole=self._are_whole)

    def window(self) -> tuple[float, float]:
        """What most values of most slices lie in."""
        ranges = self._ranges.values() or [(0.0, 0.0)]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()
