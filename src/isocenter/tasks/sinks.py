"""Where results go, slice by slice: one writer an output, in DICOM or as a volume file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition
from isocenter.core.outputs import MapOutput, MaskOutput, Output, SeriesOutput
from isocenter.core.progress import Progress
from isocenter.core.volume import Geometry, Volume
from isocenter.tasks.inputs import Opened
from isocenter.tasks.results import check_numbers
from isocenter.tasks.task import Observer, SliceResult

if TYPE_CHECKING:
    from isocenter.dicom.marking import Provenance


class Sink(Protocol):
    """Takes every slice of a result, in order."""

    def take(self, result: SliceResult, /) -> None: ...

    def finish(self) -> None:
        """Nothing more comes."""
        ...


class SliceWriter(Protocol):
    """What writes one output; the writers of ``isocenter.dicom.writing`` do."""

    @property
    def write(self) -> Callable[..., int | None]:
        """Write one slice by its index; gives how many values were clipped, where some can be."""
        ...

    def finish(self) -> list[Path]:
        """Complete the files."""
        ...


@dataclass
class OutputSink:
    """Writes one output of a task.

    Attributes:
        name: of the output.
        writer: of its files.
        shape: (row, column) of every slice.
        masked: whether the writer is told where nothing was measured.
        num_clipped: values so far that did not fit what the file can store.
    """

    name: str
    writer: SliceWriter
    shape: tuple[int, ...]
    masked: bool = False
    num_clipped: int = 0

    def take(self, result: SliceResult) -> None:
        values = result.values[self.name]
        check_numbers(values, self.shape, result.index)
        told = {"valid": result.valid} if self.masked else {}
        self.num_clipped += self.writer.write(result.index, values, **told) or 0

    def finish(self) -> None:
        self.writer.finish()


@dataclass(frozen=True)
class ObserverSink:
    """Shows every slice to an observer."""

    observer: Observer

    def take(self, result: SliceResult) -> None:
        self.observer.take(result)

    def finish(self) -> None:
        """The observer is asked for its findings apart."""


@dataclass(frozen=True)
class ProgressSink:
    """Tells how many of ``total`` slices are done."""

    progress: Progress
    total: int

    def __post_init__(self) -> None:
        self.progress(0, self.total)

    def take(self, result: SliceResult) -> None:
        self.progress(result.index + 1, self.total)

    def finish(self) -> None:
        """The last slice has told it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and like what the outputs of one run are written.

    Attributes:
        folder: each output gets a folder of its name in it.
        outputs: everything that the run writes.
        sources: what was read.
        geometry, acquisition: of the results.
        ending: of volume files, "" for DICOM.
        provenance: what DICOM objects say of their making.
    """

    folder: Path
    outputs: Sequence[Output]
    sources: Sequence[Opened]
    geometry: Geometry
    acquisition: Acquisition
    ending: str
    provenance: Provenance

    def sink(self, output: Output) -> OutputSink:
        """What writes one output."""
        folder = self.folder / output.name
        folder.mkdir()
        writer = self._dicom(output, folder) if not self.ending else self._volume(output, folder)
        return OutputSink(
            name=output.name,
            writer=writer,
            shape=self.geometry.shape[1:],
            masked=not self.ending and self._is_new_series(output),
        )

    def _is_new_series(self, output: Output) -> bool:
        """Whether its values are written, not a change of what was read."""
        if not isinstance(output, SeriesOutput):
            return False
        return output.absolute or all(each.ending for each in self.sources)

    def _volume(self, output: Output, folder: Path) -> SliceWriter:
        return _VolumeFileWriter(
            path=folder / f"{output.name}{self.ending}",
            geometry=self.geometry,
            unit="" if isinstance(output, MaskOutput) else output.unit.name,
            dtype="u1" if isinstance(output, MaskOutput) else "f4",
        )

    def _dicom(self, output: Output, folder: Path) -> SliceWriter:
        """The writers of the folder ``dicom``; only here is it decided which one."""
        series: list[Any] = [each.source for each in self.sources if not each.ending]
        told: dict[str, Any] = {"provenance": self.provenance, "output": output}
        if isinstance(output, MaskOutput):
            from isocenter.dicom.writing.segmentation import SegmentationWriter

            return SegmentationWriter(self._grid(series), folder, **told)
        if isinstance(output, MapOutput):
            from isocenter.dicom.writing.parametric_map import ParametricMapWriter

            return ParametricMapWriter(self._grid(series), folder, **told)
        if not self._is_new_series(output):
            from isocenter.dicom.writing.derived_series import DerivedSeriesWriter

            return DerivedSeriesWriter(series[0], folder, variant=self._variant(output), **told)
        from isocenter.dicom.writing.new_series import NewSeriesWriter

        told["output"] = replace(output, absolute=True)
        return NewSeriesWriter(
            folder,
            geometry=self.geometry,
            acquisition=self.acquisition,
            sources=tuple(series),
            **told,
        )

    def _grid(self, series: Sequence[Any]) -> Any:
        """The first series, where results lie on its slices; else a grid of their own."""
        if series and self.geometry == series[0].geometry:
            return series[0]
        from isocenter.dicom.writing.new_grid import NewGrid

        return NewGrid(geometry=self.geometry, acquisition=self.acquisition, sources=tuple(series))

    def _variant(self, output: Output) -> str:
        """Tells several changes of one source apart; the first needs no name."""
        changes = [
            each.name
            for each in self.outputs
            if isinstance(each, SeriesOutput) and not each.absolute
        ]
        return "" if changes[0] == output.name else output.name


@dataclass(kw_only=True)
class _VolumeFileWriter:
    """One volume file; it is written whole, so the volume is held until the end."""

    path: Path
    geometry: Geometry
    unit: str
    dtype: str
    _array: NDArray = field(init=False)

    def __post_init__(self) -> None:
        self._array = np.zeros(self.geometry.shape, self.dtype)

    def write(self, index: int, values: NDArray) -> int:
        self._array[index] = values
        return 0

    def finish(self) -> list[Path]:
        from isocenter.image.volume_files import write_volume_file

        volume = Volume(array=self._array, geometry=self.geometry, unit=self.unit)
        return [write_volume_file(volume, self.path, synthetic=True)]
