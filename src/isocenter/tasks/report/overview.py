"""The report of a task that has no observer of its own: what came in and what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocenter.core.outputs import MapOutput, MaskOutput, MeasurementOutput, SeriesOutput
from isocenter.core.spread import spread_evenly
from isocenter.core.volume import Geometry
from isocenter.tasks.report import words
from isocenter.tasks.report.content import Check, Page, Panel, Paragraph, Pictures, Section, Tile
from isocenter.tasks.report.pictures import Scale, panel, pictures, whole
from isocenter.tasks.task import Observed, SliceResult, Task

NUM_PICTURES = 3
# Single voxels often lie at the end of the range that a file can store.
LARGEST_CLIPPED_SHARE = 1e-5


class GeneralObserver:
    """Keeps a few slices to show, and counts; its memory does not grow with the series."""

    def __init__(self, task: Task[Any, Any], geometry: Geometry) -> None:
        self._task = task
        self._geometry = geometry
        self._shown = frozenset(spread_evenly(geometry.shape[0], NUM_PICTURES))
        self._kept: list[SliceResult] = []
        self._num_voxels = 0
        self._num_unmeasured = 0
        self._change = 0.0

    def take(self, result: SliceResult) -> None:
        """Look at one slice."""
        self._num_voxels += int(np.prod(self._geometry.shape[1:]))
        if result.valid is not None:
            self._num_unmeasured += int(np.sum(~result.valid))
        if (derived := self._derived) is not None and result.before is not None:
            after = result.values[derived.name]
            self._change += float(np.abs(after - result.before).sum(dtype=np.float64))
        if result.index in self._shown:
            self._kept.append(result)

    @property
    def _derived(self) -> SeriesOutput | None:
        """The first output that is a change of what was read."""
        return next(
            (
                output
                for output in self._task.outputs
                if isinstance(output, SeriesOutput) and not output.absolute
            ),
            None,
        )

    def observed(self, num_clipped: Mapping[str, int]) -> Observed:
        """Counts and pictures."""
        total = sum(num_clipped.values())
        facts = {
            "num_slices": self._geometry.shape[0],
            "num_voxels": self._num_voxels,
            "num_unmeasured": self._num_unmeasured,
            "num_clipped": total,
        }
        return Observed(facts=facts, page=self._page(total))

    def _page(self, num_clipped: int) -> Page:
        num_slices, rows, columns = self._geometry.shape
        labels = " and ".join(output.label.lower() for output in self._task.outputs)
        return Page(
            title=f"{self._task.outputs[0].label}: report",
            banner=f"Made by Isocenter ({self._task.name}); read it beside what it was made from, "
            "never instead of it.",
            headline=f"{words.count(num_slices)} slices were made: {labels}.{self._change_words()}",
            checks=(self._check_clipping(num_clipped),),
            caution="The checks see numbers; they cannot show that what the images show is true.",
            tiles=(
                Tile(value=str(num_slices), meaning=f"slices of {rows} × {columns}"),
                Tile(value=words.count(num_clipped), meaning="values clipped"),
                Tile(value=words.count(self._num_unmeasured), meaning="voxels without measurement"),
            ),
            sections=(
                Section(
                    title="Images",
                    parts=(
                        Paragraph(text="Every picture shows pixels of the result."),
                        *self._pictures(),
                    ),
                ),
            ),
            forced_note="What is known of this task does not hold for this scan.",
        )

    def _change_words(self) -> str:
        derived = self._derived
        if derived is None or not self._num_voxels:
            return ""
        mean = self._change / self._num_voxels
        return f" Values changed by {mean:.3g} {derived.unit.name} on average."

    def _check_clipping(self, num_clipped: int) -> Check:
        answer = f"{words.count(num_clipped)} of {words.count(self._num_voxels)} did not fit."
        return Check(
            question="Did the new values fit the range that the files can store?",
            answer="Yes, all." if num_clipped == 0 else answer,
            passed=num_clipped <= LARGEST_CLIPPED_SHARE * self._num_voxels,
        )

    def _pictures(self) -> Iterator[Pictures]:
        scales = {output.name: self._scale(output) for output in self._shown_outputs}
        for result in self._kept:
            yield pictures(
                f"Slice {result.index + 1} of {self._geometry.shape[0]}",
                [list(self._panels(result, scales))],
                whole(self._geometry.shape[1:]),
                self._geometry,
            )

    @property
    def _shown_outputs(self) -> tuple[SeriesOutput | MapOutput | MaskOutput, ...]:
        """Those that are images."""
        outputs = self._task.outputs
        return tuple(one for one in outputs if not isinstance(one, MeasurementOutput))

    def _panels(self, result: SliceResult, scales: Mapping[str, Scale]) -> Iterator[Panel]:
        where = f"Slice {result.index + 1}"
        derived = self._derived
        if derived is not None and result.before is not None:
            yield panel("Before", result.before, scales[derived.name], where=where)
        for output in self._shown_outputs:
            yield panel(output.label, result.values[output.name], scales[output.name], where=where)

    def _scale(self, output: SeriesOutput | MapOutput | MaskOutput) -> Scale:
        """Limits that hold nearly all values of the slices shown."""
        if isinstance(output, MaskOutput):
            return Scale(label="inside", low=0, high=1, unit="")
        values = np.concatenate([_some(result.values[output.name]) for result in self._kept])
        low, high = np.percentile(values, [0.5, 99.5]) if values.size else (0.0, 1.0)
        if isinstance(output, MapOutput):
            low = min(low, 0.0)
        colors = "sequential" if isinstance(output, MapOutput) else "gray"
        high = high if high > low else low + 1
        label = "most values"
        return Scale(
            label=label, low=float(low), high=float(high), unit=output.unit.name, colors=colors
        )


def _some(values: NDArray) -> NDArray:
    """Every third pixel of every third row, enough for limits."""
    return values[::3, ::3].ravel()
