"""Derived series on disk: new values in, valid and marked DICOM out."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.errors import OutputRefused
from isocenter.core.files import flush, part_of, put_in_place
from isocenter.core.outputs import SeriesOutput
from isocenter.dicom.marking import Provenance
from isocenter.dicom.writing.ct_multiframe import multiframe_header
from isocenter.dicom.writing.derived_header import classic_header
from isocenter.dicom.writing.files import empty_place, save, write_part

if TYPE_CHECKING:
    from isocenter.dicom.reading.series import ImageSeries

MAX_PIXEL_BYTES = 2**32 - 2


class DerivedSeriesWriter:
    """Writes a series with changed values, slice by slice.

    A classic series becomes one image a slice, a multi-frame one stays one object. What does not
    change stays bit for bit. A file has its name only once it is complete and on the disk; what a
    killed process leaves ends in ".part". The same series, record and pixels give the same UIDs
    and pixels again.

    Attributes:
        num_clipped: pixels so far whose new value did not fit the bit range.
    """

    def __init__(
        self,
        series: ImageSeries,
        folder: Path,
        *,
        provenance: Provenance,
        output: SeriesOutput,
        variant: str = "",
    ) -> None:
        """Start a series in an empty folder.

        Args:
            series: the source.
            folder: exists and holds no series yet.
            provenance: of the run; decides UIDs and texts.
            output: what the result is, of the source's modality and unit.
            variant: tells apart several changes of one series by one run; they need other UIDs.

        Raises:
            ValueError: the output is of another modality or unit than the source.
            OutputRefused: the folder does not exist or is taken.
        """
        _check_fits(series, output)
        self._series = series
        self._output = output
        self._variant = variant
        self._folder = empty_place(folder, "IM*.dcm")
        self._provenance = provenance
        self._made_at = provenance.clock()
        self._written: set[int] = set()
        self._multiframe = self._open_multiframe() if series.is_multiframe else {}
        self.num_clipped = 0

    def write(self, index: int, values: NDArray) -> int:
        """Write one slice, (row, column) in the unit of the series; returns how many were clipped.

        Pixels without a measurement keep their stored value.

        Raises:
            ValueError: another shape than the source's, or values that are not finite.
        """
        if self._multiframe:
            num_clipped = self._write_frame(index, values)
        else:
            num_clipped = self._write_image(index, values)
        self._written.add(index)
        self.num_clipped += num_clipped
        return num_clipped

    def finish(self) -> list[Path]:
        """Complete the series; returns its files in slice order.

        Raises:
            ValueError: a slice was never written.
        """
        missing = len(self._series) - len(self._written)
        if missing:
            raise ValueError(f"{missing} of {len(self._series)} slices were not written")
        if self._multiframe:
            paths = [file.finish() for file in self._multiframe.values()]
        else:
            paths = [self._path(index) for index in range(len(self._series))]
        flush(self._folder)
        return paths

    def _path(self, index: int) -> Path:
        return self._folder / f"IM{index + 1:04d}.dcm"

    def _window(self, index: int) -> list[int]:
        """Slices that a slice is computed from, itself first."""
        context, last = self._provenance.context, len(self._series) - 1
        places = range(max(index - context, 0), min(index + context, last) + 1)
        return [index, *(place for place in places if place != index)]

    def _write_image(self, index: int, values: NDArray) -> int:
        window = [self._series.header(place) for place in self._window(index)]
        header = classic_header(
            window,
            self._provenance,
            self._output,
            made_at=self._made_at,
            variant=self._variant,
        )
        pixels, num_clipped = changed_pixels(self._series, index, values)
        header.PixelData = pixels + b"\0" * (len(pixels) % 2)
        header["PixelData"].VR = _pixel_representation(header)
        save(header, self._path(index), product_version=self._provenance.record.product_version)
        return num_clipped

    def _write_frame(self, index: int, values: NDArray) -> int:
        file = self._multiframe[self._series.sop_instance_uids[index]]
        pixels, num_clipped = changed_pixels(self._series, index, values)
        file.write(index, pixels)
        return num_clipped

    def _open_multiframe(self) -> dict[str, _MultiframeFile]:
        """One file for each source object, by its UID."""
        slices: dict[str, list[int]] = {}
        for index, uid in enumerate(self._series.sop_instance_uids):
            slices.setdefault(uid, []).append(index)
        sources = {uid: self._series.header(indices[0]) for uid, indices in slices.items()}
        files = {}
        for place, (uid, indices) in enumerate(slices.items()):
            windows = [
                [self._source_frame(other, sources) for other in self._window(index)]
                for index in indices
            ]
            header = multiframe_header(
                windows,
                self._provenance,
                self._output,
                made_at=self._made_at,
                variant=self._variant,
            )
            version = self._provenance.record.product_version
            files[uid] = _MultiframeFile(header, self._path(place), indices, version)
        return files

    def _source_frame(self, index: int, sources: Mapping[str, Dataset]) -> tuple[Dataset, int]:
        source = sources[self._series.sop_instance_uids[index]]
        return source, self._series.frame_number(index)


def _check_fits(series: ImageSeries, output: SeriesOutput) -> None:
    modality, unit = series.acquisition.modality, series.unit
    if output.absolute or (output.modality, output.unit.name) != (modality, unit):
        raise ValueError(
            f"a change of a series in {unit or 'no unit'} of modality {modality} was asked for as "
            f"{output.modality} in {output.unit.name or 'no unit'}; write what is of another "
            "kind, or absolute, with NewSeriesWriter"
        )


class _MultiframeFile:
    """One multi-frame file whose frames are put in place one by one."""

    def __init__(
        self, header: Dataset, path: Path, slices: list[int], product_version: str
    ) -> None:
        self._path, self._part = path, part_of(path)
        self._places = {index: place for place, index in enumerate(slices)}
        self._frame_bytes = header.Rows * header.Columns * header.BitsAllocated // 8
        length = self._frame_bytes * len(slices)
        length += length % 2
        if length > MAX_PIXEL_BYTES:
            raise OutputRefused(
                f"the frames need {length} bytes, one uncompressed object holds {MAX_PIXEL_BYTES}; "
                "split the series"
            )
        write_part(header, self._part, product_version=product_version)
        representation = _pixel_representation(header).encode()
        with self._part.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(b"\xe0\x7f\x10\x00" + representation + struct.pack("<HL", 0, length))
            self._start = file.tell()
            file.truncate(self._start + length)

    def write(self, index: int, pixels: bytes) -> None:
        with self._part.open("r+b") as file:
            file.seek(self._start + self._places[index] * self._frame_bytes)
            file.write(pixels)

    def finish(self) -> Path:
        put_in_place(self._part, self._path)
        return self._path


def changed_pixels(series: ImageSeries, index: int, values: NDArray) -> tuple[bytes, int]:
    """Stored values of a slice after the change of its values, as little-endian bytes.

    Only the change is rescaled and rounded, so what did not change stays bit for bit, whatever
    slope and intercept are. Returns the bytes and the number of clipped pixels.
    """
    stored = series.stored(index).astype(np.int64)
    if values.shape != stored.shape:
        raise ValueError(f"slice has shape {stored.shape}, got new values of {values.shape}")
    change = values.astype(np.float64) - series.values(index)
    change = np.where(series.valid(index), change, 0.0)
    if not np.all(np.isfinite(change)):
        raise ValueError("new values must be finite in every measured pixel")
    low, high = series.stored_range(index)
    steps = np.rint(change / series.slope(index))
    beyond = 2 * (high - low)  # far enough outside to count as clipped, and no overflow
    wanted = stored + np.clip(steps, -beyond, beyond).astype(np.int64)
    changed = np.clip(wanted, low, high)
    changed = _kept_off_padding(changed, stored, series.pixel_format(index).padding, (low, high))
    changed = np.where(steps != 0, changed, stored)
    return _pixel_bytes(changed, series.bits_allocated(index)), int(np.sum(changed != wanted))


def _kept_off_padding(
    changed: NDArray, stored: NDArray, padding: tuple[int, int] | None, limits: tuple[int, int]
) -> NDArray:
    """Move new values that would read as padding to the next value on the side they came from."""
    if padding is None:
        return changed
    first, last = padding
    fell_in = (changed >= first) & (changed <= last)
    upwards = ((stored > last) | (first <= limits[0])) & (last < limits[1])
    return np.where(fell_in, np.where(upwards, last + 1, first - 1), changed)


def _pixel_bytes(values: NDArray, bits_allocated: int) -> bytes:
    """Two's complement. Unused high bits repeat the sign, as readers expect that mask nothing."""
    words = values & ((1 << bits_allocated) - 1)
    return words.astype(f"<u{bits_allocated // 8}").tobytes()


def _pixel_representation(header: Dataset) -> str:
    return "OW" if header.BitsAllocated > 8 else "OB"
