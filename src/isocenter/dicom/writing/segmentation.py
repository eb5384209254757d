"""Masks as DICOM Segmentation: one segment, yes or no for each voxel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from isocenter.core.files import flush
from isocenter.core.outputs import Code, MaskOutput
from isocenter.dicom.marking import PRODUCT, Provenance, comment_text, fitted, series_text
from isocenter.dicom.uids import instance_uid, series_uid
from isocenter.dicom.writing.derived_header import MASK_NUMBER_BAND
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

FLAG = "AI SEGMENTATION"


class SegmentationWriter:
    """Writes a mask, slice by slice, as one object of one segment.

    Only slices that hold something become frames; where all are empty, the first one does. Memory
    holds a bit for each voxel of the slices that hold something. The same place, record and mask
    give the same UIDs and pixels again.
    """

    def __init__(
        self,
        place: ImageSeries | NewGrid,
        folder: Path,
        *,
        provenance: Provenance,
        output: MaskOutput,
        flag: str = FLAG,
        by: Code | None = None,
    ) -> None:
        """Start a mask in an empty folder.

        Args:
            place: the series that the mask is of, or a grid of its own.
            folder: exists and holds no mask yet.
            output: what is marked.
            flag: first words of its description.
            by: family of algorithms that marked it; artificial intelligence where it is None.

        Raises:
            OutputRefused: the folder does not exist or is taken.
        """
        self._grid = grid_of(place, provenance)
        self._folder = empty_place(folder, "SG*.dcm")
        self._provenance = provenance
        self._output = output
        self._flag, self._by = flag, by
        self._packed: dict[int, NDArray] = {}
        self._written: set[int] = set()

    def write(self, index: int, mask: NDArray) -> None:
        """Take the mask of one slice, (row, column) bool.

        Raises:
            ValueError: another shape, or not bool.
        """
        check_slice(self._grid.geometry, index, mask)
        if mask.dtype != np.bool_:
            raise ValueError(f"a mask is bool, got {mask.dtype}; compare with a threshold first")
        self._written.add(index)
        self._packed.pop(index, None)
        if mask.any():
            self._packed[index] = np.packbits(mask)

    def finish(self) -> list[Path]:
        """Write the object; returns its file.

        Raises:
            ValueError: a slice was never written.
        """
        count = self._grid.geometry.shape[0]
        if missing := count - len(self._written):
            raise ValueError(f"{missing} of {count} masks were not written")
        path = self._folder / "SG0001.dcm"
        version = self._provenance.record.product_version
        save(self._object(sorted(self._packed) or [0]), path, product_version=version)
        flush(self._folder)
        return [path]

    def _frame(self, index: int) -> NDArray:
        """The mask of a slice, (row, column) uint8."""
        _, rows, columns = self._grid.geometry.shape
        if index not in self._packed:
            return np.zeros((rows, columns), np.uint8)
        return np.unpackbits(self._packed[index], count=rows * columns).reshape(rows, columns)

    def _object(self, indices: list[int]) -> Dataset:
        grid, output, provenance = self._grid, self._output, self._provenance
        record = provenance.record
        sources = [grid.sources(index) for index in indices]
        planes = [grid.plane(index) for index in indices]
        frames = np.stack([self._frame(index) for index in indices])
        role = f"mask {output.name}"
        dataset: Dataset = Segmentation(
            **place_arguments(grid, planes),
            pixel_array=frames,
            segmentation_type="BINARY",
            segment_descriptions=[self._segment()],
            series_instance_uid=series_uid(grid.name(), record.digest(), role=role),
            series_number=MASK_NUMBER_BAND + grid.series_number(),
            sop_instance_uid=instance_uid(grid.name(0), record.digest(), role=role),
            instance_number=1,
            manufacturer=PRODUCT,
            manufacturer_model_name=PRODUCT,
            software_versions=record.product_version,
            device_serial_number="0",
            omit_empty_frames=False,
            content_label=_label(output.name),
            content_description=fitted(output.label, 64),
        )
        order_frames(dataset, planes)
        for place, group in enumerate(dataset.PerFrameFunctionalGroupsSequence, start=1):
            group.FrameContentSequence[0].DimensionIndexValues = [1, place]
        packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
        dataset.PixelData = packed + b"\0" * (len(packed) % 2)
        complete(
            dataset,
            grid,
            sources,
            provenance=provenance,
            derivation=output.derivation,
            made_at=provenance.clock(),
        )
        if not dataset.get("Laterality", "L"):
            del dataset.Laterality  # may be empty in images, must not be here
        dataset.Modality = "SEG"
        dataset.SeriesDescription = series_text(provenance, output.label, flag=self._flag)
        dataset.ImageComments = comment_text(provenance, flag=self._flag)
        return dataset

    def _segment(self) -> SegmentDescription:
        output, record = self._output, self._provenance.record
        return SegmentDescription(
            segment_number=1,
            segment_label=fitted(output.label, 64),
            segmented_property_category=concept(output.category),
            segmented_property_type=concept(output.kind),
            algorithm_type="AUTOMATIC",
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name=fitted(record.model_name, 64),
                family=concept(self._by) if self._by else codes.cid7162.ArtificialIntelligence,
                version=fitted(f"{record.model_version}@{record.weights_sha256[:12]}", 64),
                source=PRODUCT,
            ),
        )


def _label(name: str) -> str:
    """A Content Label: at most 16 capitals, digits and underscores."""
    kept = "".join(letter if letter.isalnum() else "_" for letter in name.upper())
    return kept.encode("ascii", "replace").decode().replace("?", "_")[:16]
