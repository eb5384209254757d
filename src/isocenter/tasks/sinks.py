"""Where results go, slice by slice: one writer an output, in DICOM or as a volume file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isocenter.core.acquisition import Acquisition
from isocenter.core.outputs import (
    HOUNSFIELD,
    MapImages,
    MapOutput,
    MapPictures,
    MaskOutput,
    MeasurementOutput,
    SeriesOutput,
    WrittenOutput,
)
from isocenter.core.progress import Progress
from isocenter.core.volume import Geometry, Volume
from isocenter.tasks.inputs import Opened
from isocenter.tasks.results import check_numbers
from isocenter.tasks.task import Observer, SliceResult

if TYPE_CHECKING:
    from isocenter.dicom.marking import Provenance
    from isocenter.tasks.color_overlay import ColorOverlay

SOFT_TISSUE_HU = (-160.0, 240.0)
SHOWN_PERCENTILES = (0.5, 99.5)


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
        values: name of what it writes in each result.
        writer: of its files.
        shape: (row, column) of every slice.
        masked: whether the writer is told where nothing was measured.
        num_clipped: values so far that did not fit what the file can store.
    """

    name: str
    values: str
    writer: SliceWriter
    shape: tuple[int, ...]
    masked: bool = False
    num_clipped: int = 0

    def take(self, result: SliceResult) -> None:
        values = result.values[self.values]
        check_numbers(values, self.shape, result.index)
        told = {"valid": result.valid} if self.masked else {}
        self.num_clipped += self.writer.write(result.index, values, **told) or 0

    def finish(self) -> None:
        self.writer.finish()


@dataclass(frozen=True, kw_only=True)
class MapPicturesSink:
    """Writes a map in color over the image that it is of.

    Attributes:
        name: of the output.
        output: whose values are drawn, over which.
        draw: draws one slice.
        writer: of the pictures.
    """

    name: str
    output: MapPictures
    draw: ColorOverlay
    writer: SliceWriter
    num_clipped: int = 0

    def take(self, result: SliceResult) -> None:
        values = result.values[self.output.map.name]
        behind = result.values.get(self.output.behind, result.before)
        image = np.full(values.shape, self.draw.gray_window[0]) if behind is None else behind
        self.writer.write(result.index, self.draw(image, values))

    def finish(self) -> None:
        self.writer.finish()


@dataclass(frozen=True, kw_only=True)
class MeasurementSink:
    """Measures a mask in a map, and writes what it measured.

    Attributes:
        name: of the output.
        output: which mask, in which map.
        writer: of the report.
    """

    name: str
    output: MeasurementOutput
    writer: Any
    num_clipped: int = 0

    def take(self, result: SliceResult) -> None:
        mask, values = result.values[self.output.mask.name], result.values[self.output.of.name]
        self.writer.write(result.index, mask, values)

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
    outputs: Sequence[WrittenOutput]
    sources: Sequence[Opened]
    geometry: Geometry
    acquisition: Acquisition
    ending: str
    provenance: Provenance

    def sink(self, output: WrittenOutput) -> OutputSink | MapPicturesSink | MeasurementSink:
        """What writes one output."""
        folder = self.folder / output.name
        folder.mkdir()
        if isinstance(output, MapPictures):
            return self._pictures(output, folder)
        if isinstance(output, MeasurementOutput):
            return self._measurements(output, folder)
        writer = self._dicom(output, folder) if not self.ending else self._volume(output, folder)
        return OutputSink(
            name=output.name,
            values=output.map.name if isinstance(output, MapImages) else output.name,
            writer=writer,
            shape=self.geometry.shape[1:],
            masked=not self.ending and self._is_new_series(output),
        )

    def _pictures(self, output: MapPictures, folder: Path) -> MapPicturesSink:
        from isocenter.dicom.marking import comment_text
        from isocenter.dicom.writing.map_pictures import MapPicturesWriter
        from isocenter.tasks.color_overlay import ColorOverlay

        flag = f"{output.map.flag} {output.map.content_label}"
        return MapPicturesSink(
            name=output.name,
            output=output,
            draw=ColorOverlay(
                output.map,
                gray_window=self._gray_window(),
                columns=self.geometry.shape[2],
                statement=comment_text(self.provenance, flag=flag),
            ),
            writer=MapPicturesWriter(
                self._map_place(), folder, provenance=self.provenance, output=output
            ),
        )

    def _measurements(self, output: MeasurementOutput, folder: Path) -> MeasurementSink:
        from isocenter.dicom.writing.measurements import MeasurementWriter

        assert not self.ending  # a task that measures reads DICOM
        writer = MeasurementWriter(
            self._map_place(), folder, provenance=self.provenance, output=output
        )
        return MeasurementSink(name=output.name, output=output, writer=writer)

    def _gray_window(self) -> tuple[float, float]:
        """Soft tissue in HU; else what most values of the middle slice that was read lie in."""
        if not self.sources:
            return (0.0, 1.0)
        scan = self.sources[0].source
        if scan.unit == HOUNSFIELD.name:
            return SOFT_TISSUE_HU
        middle = len(scan) // 2
        values = scan.values(middle)[scan.valid(middle)]
        low, high = np.percentile(values, SHOWN_PERCENTILES) if values.size else (0.0, 1.0)
        return float(low), float(max(high, low + 1e-6))

    def _is_new_series(self, output: WrittenOutput) -> bool:
        """Whether its values are written, not a change of what was read."""
        if not isinstance(output, SeriesOutput):
            return False
        return output.absolute or all(each.ending for each in self.sources)

    def _volume(self, output: WrittenOutput, folder: Path) -> SliceWriter:
        # Refused before: forms of DICOM alone.
        assert not isinstance(output, MapImages | MapPictures | MeasurementOutput)
        return _VolumeFileWriter(
            path=folder / f"{output.name}{self.ending}",
            geometry=self.geometry,
            unit="" if isinstance(output, MaskOutput) else output.unit.name,
            dtype="u1" if isinstance(output, MaskOutput) else "f4",
        )

    def _dicom(self, output: WrittenOutput, folder: Path) -> SliceWriter:
        """The writers of the folder ``dicom``; only here is it decided which one."""
        series: list[Any] = [each.source for each in self.sources if not each.ending]
        told: dict[str, Any] = {"provenance": self.provenance, "output": output}
        if isinstance(output, MaskOutput):
            from isocenter.dicom.writing.segmentation import SegmentationWriter

            return SegmentationWriter(self._grid(series), folder, **told)
        if isinstance(output, MapOutput):
            from isocenter.dicom.writing.parametric_map import ParametricMapWriter

            return ParametricMapWriter(self._grid(series), folder, **told)
        if isinstance(output, MapImages):
            from isocenter.dicom.writing.map_images import map_images_writer

            return map_images_writer(self._map_place(), folder, **told)
        assert isinstance(output, SeriesOutput)
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

    def _map_place(self) -> Any:
        return self._grid([each.source for each in self.sources if not each.ending])

    def _grid(self, series: Sequence[Any]) -> Any:
        """The only series, where results lie on its slices; else a grid that names all."""
        if len(series) == 1 and self.geometry == series[0].geometry:
            return series[0]
        from isocenter.dicom.writing.new_grid import NewGrid

        return NewGrid(geometry=self.geometry, acquisition=self.acquisition, sources=tuple(series))

    def _variant(self, output: WrittenOutput) -> str:
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
