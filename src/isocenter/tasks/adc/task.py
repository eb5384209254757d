"""ADC maps, declared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isocenter.tasks.adc.outputs import ADC, LESION, MEASUREMENTS, UNCERTAINTY
from isocenter.tasks.adc.settings import AdcSettings
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, Reads, Task, Work

if TYPE_CHECKING:
    from isocenter.core.limits import Limits
    from isocenter.core.volume import SliceSource


def _open(
    path: Path, /, *, series: str | None, largest_run: bool, limits: Limits
) -> Mapping[str, SliceSource]:
    from isocenter.tasks.adc.opening import open_study

    return open_study(path, series=series, largest_run=largest_run, limits=limits)


def _judge_header(case: Case[AdcSettings, Any]) -> Suitability:
    from isocenter.tasks.adc.rules import judge_headers

    return judge_headers(case.scans)


def _judge(case: Case[AdcSettings, Any]) -> Suitability:
    from isocenter.tasks.adc.rules import judge_study

    return judge_study(case.scans)


def _start(case: Case[AdcSettings, Any], suitability: Suitability) -> Work[AdcSettings]:
    from isocenter.tasks.adc.stream import start

    return start(case, suitability)


TASK: Task[AdcSettings, Any] = Task(
    name="mr_adc",
    command="adc",
    summary="Calculate the ADC of a diffusion-weighted head: map, uncertainty, lesions and report.",
    settings=AdcSettings,
    reads=(
        Reads(
            name="study",
            what="a study with images of b = 0 and another b-value",
            modality="MR",
            unit="",
            opener=_open,
        ),
    ),
    outputs=(ADC, UNCERTAINTY, LESION, MEASUREMENTS),
    judge_header=_judge_header,
    judge=_judge,
    start=_start,
    doing="Fitting",
)
