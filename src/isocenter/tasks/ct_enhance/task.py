"""CT enhancement, declared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from isocenter.tasks.ct_enhance.outputs import ENHANCED, UNCERTAINTY
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.suitability import Suitability
from isocenter.tasks.task import Case, Reads, Task, Work

if TYPE_CHECKING:
    from isocenter.modelpack.ct_enhance.contract import Enhancer


def _load_model(folder: Path | None, device: str) -> Enhancer:
    from isocenter.modelpack.folder import load_folder

    enhancer: Enhancer = load_folder(folder, kind="CtEnhancer", device=device)
    return enhancer


def _judge_header(case: Case[EnhanceSettings, Enhancer]) -> Suitability:
    from isocenter.tasks.ct_enhance.rules import judge_scan_header

    return judge_scan_header(case.scan, case.model.accepted)


def _judge(case: Case[EnhanceSettings, Enhancer]) -> Suitability:
    from isocenter.tasks.ct_enhance.rules import judge_scan

    return judge_scan(case.scan, case.model.accepted)


def _start(
    case: Case[EnhanceSettings, Enhancer], suitability: Suitability
) -> Work[EnhanceSettings]:
    from isocenter.tasks.ct_enhance.stream import start

    return start(case, suitability)


TASK: Task[EnhanceSettings, Any] = Task(
    name="ct_enhance",
    command="enhance",
    summary="Enhance a low-dose CT: derived series, uncertainty map and report.",
    settings=EnhanceSettings,
    reads=(Reads(name="input", what="a low-dose CT series", modality="CT", unit="HU"),),
    outputs=(ENHANCED, UNCERTAINTY),
    judge_header=_judge_header,
    judge=_judge,
    start=_start,
    load_model=_load_model,
)
