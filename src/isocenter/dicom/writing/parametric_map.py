"""Maps of a quantity, as DICOM Parametric Map with a unit and a meaning in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.files import flush
from isocenter.core.outputs import MapOutput
from isocenter.dicom.marking import PRODUCT, Provenance, comment_text, fitted, series_text
from isocenter.dicom.uids import instance_uid, series_uid
from isocenter.dicom.writing.derived_header import MAP_NUMBER_BAND
from isocenter.dicom.writing.files import empty_place, save
from isocenter.dicom.writing.grid import check_slice
from isocenter.dicom.writing.multiframe import (
    complete,
    concept,
    order_frames,
    place_arguments,
)
from isocenter.dicom.writing.new_grid import NewGrid, grid_of

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries


class ParametricMapWriter:
    """Writes one float32 value a voxel, slice by slice, in objects of ``chunk`` frames each.

    Memory holds one chunk where slices come in order, however long the series is. The same place,
    record and values give the same UIDs and pixels again.
    """

    def __init__(
        self,
        place: ImageSeries | NewGrid,
        folder: Path,
        *,
        provenance: Provenance,
        output: MapOutput,
        chunk: int = 64,
    ) -> None:
        """Start a map in an empty folder.

        Args:
            place: the series that the map is of, or a grid of its own.
            folder: exists and holds no map yet.
            output: what the values are.

        Raises:
            OutputRefused: the folder does not exist or is taken.
        """
        self._grid = grid_of(place, provenance)
        self._folder = empty_place(folder, "UM*.dcm")
        self._provenance = provenance
        self._made_at = provenance.clock()
        self._output = output
        self._chunk = chunk
        self._waiting: dict[int, dict[int, NDArray]] = {}
        self._paths: dict[int, Path] = {}

    def write(self, index: int, values: NDArray) -> None:
        """Take the map of one slice, (row, column); write its object when that is full.

        Raises:
            ValueError: another shape, values that are not finite, or a slice that was there before.
        """
        check_slice(self._grid.geometry, index, values)
        if not np.all(np.isfinite(values)):
            raise ValueError("maps must be finite everywhere; write 0 where nothing was measured")
        number = index // self._chunk
        waiting = self._waiting.setdefault(number, {})
        if number in self._paths or index in waiting:
            raise ValueError(f"the map of slice {index} was written already")
        waiting[index] = np.array(values, np.float32)
        if len(waiting) == len(self._indices(number)):
            self._paths[number] = self._write_object(number, self._waiting.pop(number))

    def finish(self) -> list[Path]:
        """Complete the map; returns its files in slice order.

        Raises:
            ValueError: a slice was never written.
        """
        count = self._grid.geometry.shape[0]
        written = sum(len(self._indices(number)) for number in self._paths)
        missing = count - written - sum(map(len, self._waiting.values()))
        if missing:
            raise ValueError(f"{missing} of {count} maps were not written")
        flush(self._folder)
        return [self._paths[number] for number in sorted(self._paths)]

    def _indices(self, number: int) -> range:
        """Slices of an object."""
        first = number * self._chunk
        return range(first, min(first + self._chunk, self._grid.geometry.shape[0]))

    def _write_object(self, number: int, values: dict[int, NDArray]) -> Path:
        indices = self._indices(number)
        dataset = self._object(number + 1, np.stack([values[index] for index in indices]))
        path = self._folder / f"UM{number + 1:04d}.dcm"
        save(dataset, path, product_version=self._provenance.record.product_version)
        return path

    def _object(self, number: int, values: NDArray) -> Dataset:
        indices = self._indices(number - 1)
        sources = [self._grid.sources(index) for index in indices]
        planes = [self._grid.plane(index) for index in indices]
        output, provenance = self._output, self._provenance
        record = provenance.record
        header, role = self._grid.header(0), f"map {output.content_label}"
        low, high = output.window
        dataset: Dataset = ParametricMap(
            **place_arguments(self._grid, planes),
            pixel_array=values,
            series_instance_uid=series_uid(self._grid.name(), record.digest(), role=role),
            series_number=MAP_NUMBER_BAND + self._grid.series_number(),
            sop_instance_uid=instance_uid(
                self._grid.name(indices[0]), record.digest(), role=f"{role} {number}"
            ),
            instance_number=number,
            manufacturer=PRODUCT,
            manufacturer_model_name=PRODUCT,
            software_versions=record.product_version,
            device_serial_number="0",
            contains_recognizable_visual_features=header.get("RecognizableVisualFeatures") == "YES",
            real_world_value_mappings=[self._meaning(values)],
            voi_lut_transformations=[
                hd.VOILUTTransformation(window_center=(low + high) / 2, window_width=high - low)
            ],
            content_label=output.content_label,
            content_description=fitted(output.meaning, 64),
            content_qualification="RESEARCH",
            image_flavor="VOLUME",
            derived_pixel_contrast="QUANTITY",
        )
        order_frames(dataset, planes)
        for place, group in enumerate(dataset.PerFrameFunctionalGroupsSequence, start=1):
            group.FrameContentSequence[0].DimensionIndexValues = place
        dataset.FloatPixelData = values.astype("<f4").tobytes()
        complete(
            dataset,
            self._grid,
            sources,
            provenance=provenance,
            derivation=output.derivation,
            made_at=self._made_at,
        )
        flag = f"{output.flag} {output.content_label}"
        dataset.Modality = output.modality
        dataset.SeriesDescription = series_text(provenance, self._grid.description(), flag=flag)
        dataset.ImageComments = f"{output.meaning} {comment_text(provenance, flag=flag)}"
        return dataset

    def _meaning(self, values: NDArray) -> RealWorldValueMapping:
        output = self._output
        return RealWorldValueMapping(
            lut_label=output.content_label,
            lut_explanation=fitted(output.meaning, 64),
            unit=concept(output.unit.code),
            value_range=(min(float(values.min()), 0.0), max(float(values.max()), 1.0)),
            slope=1.0,
            intercept=0.0,
            quantity_definition=concept(output.quantity),
        )
