"""One series, opened: geometry known, pixels decoded one slice at a time."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from isocenter.core.acquisition import Acquisition
from isocenter.core.errors import UnreadableInput
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.core.volume import Geometry, Volume
from isocenter.dicom.decoding.parsing import open_stream, refusing
from isocenter.dicom.decoding.pixels import PixelFormat, PixelLayout, decode_frame, locate_frames
from isocenter.dicom.decoding.scanning import Stream
from isocenter.dicom.reading.files_seen import FilesSeen
from isocenter.dicom.reading.frames import Frame, ImageFile
from isocenter.dicom.reading.geometry import stack_geometry
from isocenter.dicom.reading.rules import have_own_frames
from isocenter.dicom.reading.sound_header import sound_header
from isocenter.dicom.uids import derived_uid

NUM_SLICES_KEPT = 8


class ImageSeries:
    """A scan on disk, slices in order of position along the normal of the image plane.

    Memory does not grow with the number of slices: pixels are decoded when asked for, and only a
    few decoded slices are kept. Open one with :func:`isocenter.dicom.reading.open.open_series`.
    """

    unit = ""
    """What the numbers mean; "" where nothing says so."""

    def __init__(
        self,
        frames: Sequence[Frame],
        files: Sequence[ImageFile],
        *,
        notes: Sequence[str] = (),
        files_seen: FilesSeen | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        used = {frame.file_index for frame in frames}
        self._frames = list(frames)
        self._files = {file.file_index: file for file in files if file.file_index in used}
        self._notes = tuple(notes)
        self._left_out: dict[str, set[int]] = {}
        self._has_own_frames = have_own_frames(list(self._files.values()))
        self.files_seen = files_seen
        self._limits = limits
        first = self._file(0)
        self._acquisition = first.acquisition
        self._geometry = stack_geometry(
            np.array([frame.position_mm for frame in frames]),
            frames[0].orientation or (),
            pixel_spacing_mm=frames[0].pixel_spacing_mm or (),
            rows=first.rows,
            columns=first.columns,
            slice_thickness_mm=first.acquisition.slice_thickness_mm,
        )
        self._slices: OrderedDict[int, NDArray] = OrderedDict()
        self._first_slices: dict[int, int] = {}
        for index, frame in enumerate(self._frames):
            self._first_slices.setdefault(frame.file_index, index)
        self._shared_header: tuple[int, Dataset] | None = None
        self._inflated: tuple[int, Stream] | None = None
        self._layouts = {number: self._layout(file) for number, file in self._files.items()}

    @property
    def geometry(self) -> Geometry:
        return self._geometry

    @property
    def acquisition(self) -> Acquisition:
        return self._acquisition

    @property
    def num_files(self) -> int:
        return len(self._files)

    @property
    def is_multiframe(self) -> bool:
        return self._file(0).is_multiframe

    @property
    def sop_class_uid(self) -> str:
        return self._file(0).sop_class_uid

    @property
    def series_instance_uid(self) -> str:
        return self._file(0).series_uid

    @property
    def sop_instance_uids(self) -> list[str]:
        """One a slice; the same for all frames of one multi-frame file."""
        return [frame.sop_instance_uid for frame in self._frames]

    @property
    def positions_mm(self) -> NDArray:
        """Image Position (Patient) of each slice, (slices, 3), as its header has it."""
        return np.array([frame.position_mm for frame in self._frames])

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out while reading, in words for the report; usually empty.

        Of elements, those of the headers that were asked for.
        """
        notes = list(self._notes)
        if self._has_own_frames:
            notes.append(
                "Every image names a frame of reference of its own, while their positions are in "
                "line. One new frame of reference is written for all results."
            )
        if self._left_out:
            names = [
                f"{name} (of {len(places)} of {len(self._files)} files)"
                for name, places in sorted(self._left_out.items())
            ]
            notes.append(
                "Header elements with values that DICOM does not allow were left out of the "
                f"results: {', '.join(names)}."
            )
        return tuple(notes)

    def __len__(self) -> int:
        return len(self._frames)

    def stored(self, index: int) -> NDArray:
        """Integer values as stored, (row, column), after bit and sign handling; read-only.

        Raises:
            UnreadableInput: the pixels of this slice are damaged.
        """
        index = self._within(index)
        if index not in self._slices:
            self._slices[index] = self._decode(index)
            if len(self._slices) > NUM_SLICES_KEPT:
                self._slices.popitem(last=False)
        self._slices.move_to_end(index)
        return self._slices[index]

    def slope(self, index: int) -> float:
        return float(self._frames[index].slope or 1.0)

    def intercept(self, index: int) -> float:
        return float(self._frames[index].intercept or 0.0)

    def values(self, index: int) -> NDArray:
        """(row, column) float32, stored * slope + intercept computed in float64."""
        values = self.stored(index).astype(np.float64)
        return (values * self.slope(index) + self.intercept(index)).astype(np.float32)

    def valid(self, index: int) -> NDArray:
        """(row, column) bool, False where the scanner wrote no measurement."""
        stored, padding = self.stored(index), self.pixel_format(index).padding
        if padding is None:
            return np.ones(stored.shape, bool)
        return (stored < padding[0]) | (stored > padding[1])

    def pixel_format(self, index: int) -> PixelFormat:
        """Bits, sign and transfer syntax of the file that holds a slice."""
        pixel_format = self._file(index).pixel_format
        assert pixel_format is not None  # what has none was refused
        return pixel_format

    def bits_allocated(self, index: int) -> int:
        return self.pixel_format(index).bits_allocated

    def stored_range(self, index: int) -> tuple[int, int]:
        """Smallest and largest value that the bit depth and sign of a slice can store."""
        return self.pixel_format(index).stored_range

    def header(self, index: int) -> Dataset:
        """Everything but the pixels of the file that holds a slice, as far as it is sound.

        All slices are in one frame of reference: a new one where each image names its own.
        A new data set each time for a classic image; of a multi-frame file one that all its slices
        share, so copy it before a change.
        """
        number = self._frames[index].file_index
        if self._shared_header is not None and self._shared_header[0] == number:
            return self._shared_header[1]
        header: Dataset
        header, left_out = sound_header(
            self._files[number].path, what=self._name(number), limits=self._limits
        )
        for name in left_out:
            self._left_out.setdefault(name, set()).add(number)
        if self._has_own_frames:
            header.FrameOfReferenceUID = derived_uid("frame of reference", header.SeriesInstanceUID)
        if self.is_multiframe:
            self._shared_header = number, header
        return header

    def frame_number(self, index: int) -> int:
        """Place of a slice in its file, counted from 0; 0 for a classic image."""
        return self._frames[index].frame_number

    def source_digest(self) -> str:
        """Hexadecimal SHA-256 over identities, pixels as they are in the files, scale and geometry.

        One slice at a time. The same images compressed in another way have another digest.
        """
        digest = hashlib.sha256(repr(astuple(self._geometry)).encode())
        for index, frame in enumerate(self._frames):
            facts = (frame.sop_instance_uid, frame.frame_number, frame.slope, frame.intercept)
            digest.update(repr((facts, astuple(self.pixel_format(index)))).encode())
            digest.update(self._raw(index))
        return digest.hexdigest()

    def to_volume(self) -> Volume:
        """The whole scan in memory.

        Raises:
            UnreadableInput: more voxels than the limits allow.
        """
        if math.prod(self._geometry.shape) > self._limits.volume_voxels:
            raise UnreadableInput(
                f"the scan has more than {self._limits.volume_voxels} voxels (limit "
                "volume_voxels); read it slice by slice"
            )
        array = np.empty(self._geometry.shape, np.float32)
        valid = np.empty(self._geometry.shape, bool)
        for index in range(len(self)):
            array[index] = self.values(index)
            valid[index] = self.valid(index)
        return Volume(
            array=array,
            geometry=self._geometry,
            unit=self.unit,
            valid=None if valid.all() else valid,
            acquisition=self._acquisition,
        )

    def _within(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"slice {index} of a series of {len(self)}")
        return index % len(self)

    def _file(self, index: int) -> ImageFile:
        return self._files[self._frames[index].file_index]

    def _name(self, file_index: int) -> str:
        """How messages name a file: by the place of its first slice."""
        if len(self._files) == 1:
            return "the file"
        return f"image {self._first_slices[file_index] + 1} of {len(self._frames)}"

    def _raw(self, index: int) -> bytes:
        """The bytes of a slice as they are in its file."""
        frame = self._frames[index]
        with (
            refusing(f"slice {index + 1} of {len(self)} cannot be read"),
            self._stream(frame.file_index) as stream,
        ):
            return self._layouts[frame.file_index].read(stream, frame.frame_number)

    @contextmanager
    def _stream(self, number: int) -> Iterator[Stream]:
        """A file, opened; what was inflated last is kept, as it may hold many frames."""
        if self._inflated is not None and self._inflated[0] == number:
            yield self._inflated[1]
            return
        stream, transfer_syntax = open_stream(self._files[number].path, self._limits)
        if transfer_syntax == DeflatedExplicitVRLittleEndian:
            self._inflated = number, stream
            yield stream
            return
        with stream:
            yield stream

    def _decode(self, index: int) -> NDArray:
        pixels = self._file(index).pixels
        assert pixels is not None  # a file without pixels was refused
        what = f"slice {index + 1} of {len(self)}"
        stored = decode_frame(
            self._raw(index), self.pixel_format(index), pixels, what=what, limits=self._limits
        )
        stored.flags.writeable = False
        return stored

    def _layout(self, file: ImageFile) -> PixelLayout:
        """Where the frames of a file are; refuses a truncated file before any work."""
        assert file.pixel_format is not None  # what has none was refused
        assert file.pixels is not None
        what = self._name(file.file_index)
        with (
            refusing(f"the pixels of {what} are damaged or truncated"),
            self._stream(file.file_index) as stream,
        ):
            return locate_frames(stream, file.pixels, file.pixel_format, what=what)
