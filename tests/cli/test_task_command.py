"""A task as a command: what it passes on, and what it prints."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import Result

from isocenter.core.errors import (
    SeriesChoiceNeeded,
)
from isocenter.core.limits import Limits
from isocenter.tasks.ct_enhance.outputs import ENHANCED
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.ct_enhance.task import TASK
from isocenter.tasks.registry import TASKS
from isocenter.tasks.settings import Settings, setting
from isocenter.tasks.task import Reads, Task

Invoke = Callable[..., Result]
Stand = Callable[..., Any]
SCAN = "scan"


def test_an_unknown_option_is_refused(invoke: Invoke, stand: Stand) -> None:
    result = invoke("enhance", SCAN, "--output", "out", "--stength", "1")
    assert result.exit_code == 2
    assert "--strength" in result.stderr


def test_enhance_passes_every_option_on(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    given = "--series 1.2 --largest-run --strength medium --samples 2 --steps 8 --seed 7 --model m"
    more = "--dose-fraction 0.25 --lesion-contrast 0.75 --device auto --force --dicom --private "
    more += "--map both --color-map --limit frames=7"
    invoke("enhance", SCAN, "-o", "out", *given.split(), *more.split())
    (arguments, options) = call.calls[0]
    options.pop("progress")
    assert arguments == (TASK, {"input": Path(SCAN)}, Path("out"))
    assert options == {
        "settings": EnhanceSettings(
            strength=0.5, samples=2, steps=8, seed=7, dose_fraction=0.25, lesion_contrast=0.75
        ),
        "series": {"input": "1.2"},
        "largest_run": True,
        "model": Path("m"),
        "device": "auto",
        "force": True,
        "dicom": True,
        "private": True,
        "maps": "both",
        "color_map": True,
        "limits": Limits(frames=7),
    }


def test_limits_come_from_a_file_and_single_ones_win(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, tmp_path: Path
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    (tmp_path / "limits.toml").write_text("frames = 5\nfiles = 9\n")
    options = ["--limits", str(tmp_path / "limits.toml"), "--limit", "frames=6"]
    invoke("enhance", SCAN, "-o", "out", *options)
    assert call.calls[0][1]["limits"] == Limits(frames=6, files=9)


@pytest.mark.parametrize("given", ["frame=6", "frames=many", "frames=0", "frames"])
def test_a_limit_that_is_none_is_refused_in_words(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, given: str
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", SCAN, "-o", "out", "--limit", given)
    assert result.exit_code == 2
    assert ("frames" if "=" in given else "NAME=VALUE") in result.stderr
    assert not call.calls


def test_enhance_passes_only_what_a_run_takes(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    from isocenter.tasks.run import run

    signature = inspect.signature(run)
    call = stand("isocenter.tasks.run", "run", enhanced)
    invoke("enhance", SCAN, "--output", "out")
    (arguments, options) = call.calls[0]
    signature.bind(*arguments, **options)


def test_options_left_out_mean_what_they_mean_in_python(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    from isocenter.tasks.ct_enhance.enhance import enhance

    call = stand("isocenter.tasks.run", "run", enhanced)
    invoke("enhance", SCAN, "--output", "out")
    options = call.calls[0][1]
    settings = asdict(options.pop("settings"))
    assert options.pop("series") == {}
    options.pop("progress")
    defaults = inspect.signature(enhance).parameters
    for name, value in (options | settings).items():
        assert value == defaults[name].default, name


def test_a_setting_that_is_not_taken_is_refused_before_any_work(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", SCAN, "-o", "out", "--strength", "strong")
    assert result.exit_code == 2
    assert "low (0.25), medium (0.5), high (1)" in result.stderr
    assert not call.calls


@pytest.mark.parametrize("share", ["1.5", "-0.1", "nan", "half"])
def test_a_lesion_contrast_that_is_no_share_is_refused_before_any_work(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, share: str
) -> None:
    call = stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", SCAN, "-o", "out", f"--lesion-contrast={share}")
    assert result.exit_code == 2
    assert "lesion" in result.stderr
    assert not call.calls


def test_enhance_says_where_everything_lies(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", SCAN, "--output", "out")
    assert result.exit_code == 0
    for path in (
        *(enhanced.folder / name for name in ("enhanced", "uncertainty")),
        enhanced.report,
    ):
        assert result.stdout.count(f"{path}\n") == 1


def test_forced_warnings_are_repeated_at_the_end(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    enhanced.warnings = ("Pixel spacing: measured 3 mm",)
    stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("enhance", SCAN, "--output", "out", "--force")
    assert "warning: Pixel spacing: measured 3 mm" in result.stderr


def test_notes_are_told_where_they_are_seen(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    enhanced.notes = ("1 file was damaged",)
    stand("isocenter.tasks.run", "run", enhanced)
    assert "note: 1 file was damaged" in invoke("enhance", SCAN, "--output", "out").stderr


def test_each_command_names_its_own_option_for_a_series(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace
) -> None:
    problem = SeriesChoiceNeeded("2 series fit")
    for module, function, command, option in (
        (
            "isocenter.tasks.run",
            "run",
            ("enhance", SCAN, "-o", "out"),
            "--series",
        ),
        (
            "isocenter.datasets.open_scan",
            "open_scan",
            ("evaluate", SCAN, SCAN),
            "--reference-series",
        ),
    ):
        stand(module, function, problem)
        result = invoke(*command)
        assert result.exit_code == 2
        assert f"with {option}." in result.stderr


def test_progress_is_shown_beside_the_results(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*arguments: Any, progress: Any, **options: Any) -> SimpleNamespace:
        for done in range(4):
            progress(done, 3)
        return enhanced

    stand("isocenter.tasks.run", "run", None)
    monkeypatch.setattr(sys.modules["isocenter.tasks.run"], "run", work)
    result = invoke("enhance", SCAN, "--output", "out")
    assert "3/3" in result.stderr
    assert "3/3" not in result.stdout


# Tasks that read several scans, or none


@dataclass(frozen=True, kw_only=True)
class PairSettings(Settings):
    """A setting of each kind."""

    kind: str = setting("fine", help="How.", choices=("fine", "coarse"))
    weight: float = setting(0.5, help="How much.", at_least=0, at_most=1)
    smooth: bool = setting(False, help="Whether.")


def a_task(*names: str, optional: tuple[str, ...] = ()) -> Task[PairSettings, Any]:
    return Task(
        name="pair",
        command="pair",
        summary="Join scans.",
        settings=PairSettings,
        outputs=(ENHANCED,),
        start=lambda case, suitability: pytest.fail("never started"),
        reads=tuple(
            Reads(name=name, what=f"the {name}", modality="MR", unit="", optional=name in optional)
            for name in names
        ),
    )


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[Task[Any, Any]], None]:
    """Put a task into the registry."""

    def add(task: Task[Any, Any]) -> None:
        monkeypatch.setitem(TASKS, task.command, "tests_declared_task")
        module = ModuleType("tests_declared_task")
        module.TASK = task  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tests_declared_task", module)

    return add


def test_several_scans_are_options_of_their_names(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, register: Callable[..., None]
) -> None:
    register(a_task("t1", "t2_flair", optional=("t2_flair",)))
    call = stand("isocenter.tasks.run", "run", enhanced)
    words = "pair --t1 a --t2-flair b --t2-flair-series 3 -o out --kind coarse --smooth"
    result = invoke(*words.split())
    assert result.exit_code == 0, result.output
    (arguments, options) = call.calls[0]
    assert arguments[1] == {"t1": Path("a"), "t2_flair": Path("b")}
    assert options["series"] == {"t2_flair": "3"}
    assert options["settings"] == PairSettings(kind="coarse", smooth=True)
    assert "model" not in options
    assert "force" not in options


def test_a_scan_that_is_needed_is_asked_for(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, register: Callable[..., None]
) -> None:
    register(a_task("t1", "t2", optional=("t2",)))
    stand("isocenter.tasks.run", "run", enhanced)
    result = invoke("pair", "-o", "out")
    assert result.exit_code == 2
    assert "--t1" in result.stderr


def test_the_scan_whose_series_must_be_named_is_told_by_its_own_option(
    invoke: Invoke, stand: Stand, register: Callable[..., None]
) -> None:
    register(a_task("t1", "t2"))
    problem = SeriesChoiceNeeded("2 series fit")
    problem.add_note("t2")
    stand("isocenter.tasks.run", "run", problem)
    result = invoke("pair", "--t1", "a", "--t2", "b", "-o", "out")
    assert "with --t2-series." in result.stderr


def test_a_task_that_reads_nothing_asks_for_nothing(
    invoke: Invoke, stand: Stand, enhanced: SimpleNamespace, register: Callable[..., None]
) -> None:
    register(a_task())
    call = stand("isocenter.tasks.run", "run", enhanced)
    assert invoke("pair", "-o", "out", "--weight", "0.25").exit_code == 0
    (arguments, options) = call.calls[0]
    assert arguments[1] == {}
    assert "largest_run" not in options
    assert options["settings"].weight == 0.25
