"""A derived series with the values of its source: to try the whole way without a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isocenter.core.outputs import HOUNSFIELD, Code, SeriesOutput
from isocenter.tasks.settings import Settings, setting
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, Reads, SliceResult, Task, Work

SERIES = SeriesOutput(
    name="copy",
    label="Copied series",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("COPY", "99ISOCENTER", "Unchanged values"),
    flag="COPY",
)


@dataclass(frozen=True, kw_only=True)
class CopySettings(Settings):
    """Nothing changes a pixel; other numbers make another series."""

    number: int = setting(0, help="Another number makes another series.", at_least=0)


def _start(case: Case[CopySettings, Any], _: Suitability) -> Work[CopySettings]:
    return Work(
        results=_slices(case),
        description="Values as in the source; made to try a gateway.",
        settings=case.settings,
    )


def _slices(case: Case[CopySettings, Any]) -> Iterator[SliceResult]:
    for index in range(len(case.scan)):
        values = case.scan.values(index)
        yield SliceResult(
            index=index,
            values={SERIES.name: values},
            before=values,
            valid=case.scan.valid(index),
        )


TASK: Task[CopySettings, Any] = Task(
    name="copy",
    command="copy",
    summary="Copy a CT series as a derived one, to try a gateway without a model.",
    settings=CopySettings,
    reads=(Reads(name="input", what="a CT series", modality="CT", unit="HU"),),
    outputs=(SERIES,),
    start=_start,
)
