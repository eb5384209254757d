"""The command line: what it passes on, what it prints, and how it fails."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from isocenter.cli import app
from isocenter.core.errors import (
    ModelRefused,
    OutputRefused,
    SeriesChoiceNeeded,
    UnreadableInput,
    UnsuitableScan,
)
from isocenter.core.version import __version__

SCAN = "scan"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="isocenter")


class Recorder:
    """Stands for a function: keeps what it was called with, returns or raises what it was told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls.append((arguments, options))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Stand:
    """Puts recorders in the place of the functions that the commands import."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def __call__(self, module: str, name: str, answer: Any) -> Recorder:
        recorder = Recorder(answer)
        stand_in = ModuleType(module)
        setattr(stand_in, name, recorder)
        self.patch.setitem(sys.modules, module, stand_in)
        return recorder


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    return Stand(monkeypatch)


@pytest.fixture
def enhanced(tmp_path: Path) -> SimpleNamespace:
    return SimpleNamespace(
        series_folder=tmp_path / "enhanced",
        uncertainty_files=(tmp_path / "uncertainty" / "1.dcm", tmp_path / "uncertainty" / "2.dcm"),
        report=tmp_path / "report.html",
        warnings=(),
        notes=(),
        already_there=False,
    )


def test_version() -> None:
    assert run("--version").stdout.strip() == f"isocenter {__version__}"


@pytest.mark.parametrize(
    "error",
    [
        UnreadableInput("not DICOM; choose another file"),
        UnsuitableScan("pixels of 3 mm; accepted 0.5 to 1 mm", reason="pixel_spacing"),
        SeriesChoiceNeeded("2 series fit; name one with --series"),
        ModelRefused("weights were altered; install again"),
        OutputRefused("the folder is taken; name another"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_a_sentence_and_exit_code_2(stand: Stand, error: Exception) -> None:
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", error)
    result = run("enhance", SCAN, "--output", "out")
    assert result.exit_code == 2
    assert str(error) in result.stderr
    assert "Traceback" not in result.output
    assert not result.stdout


def test_a_mistyped_command_is_corrected_once() -> None:
    assert run("enhanse", SCAN).stderr.count("'enhance'") == 1


def test_brackets_in_a_message_are_kept(stand: Stand) -> None:
    stand(
        "isocenter.tasks.ct_enhance.enhance",
        "enhance",
        UnreadableInput("got [bold] and [/nothing]"),
    )
    assert "got [bold] and [/nothing]" in run("enhance", SCAN, "--output", "out").stderr


def test_an_unexpected_error_shows_its_place_but_not_its_words(stand: Stand) -> None:
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", ValueError("bad value 'DOE^JANE'"))
    result = run("enhance", SCAN, "--output", "out")
    assert result.exit_code == 1
    assert "Unexpected ValueError at test_cli.py:" in result.stderr
    assert "--debug" in result.stderr
    assert "DOE" not in result.output
    assert "Traceback" not in result.output


def test_debug_shows_the_traceback(stand: Stand) -> None:
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", ValueError("bad value"))
    result = run("--debug", "enhance", SCAN, "--output", "out")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "ValueError: bad value" in result.stderr


def test_a_full_disk_is_said_in_words(stand: Stand) -> None:
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", OSError(28, "No space left on device"))
    result = run("enhance", SCAN, "--output", "out")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr


def test_ctrl_c_ends_with_130(stand: Stand) -> None:
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", KeyboardInterrupt())
    result = run("enhance", SCAN, "--output", "out")
    assert result.exit_code == 130
    assert "Stopped" in result.stderr
    assert "Traceback" not in result.output


def test_a_request_to_terminate_clears_up_first() -> None:
    script = """
import os, signal, sys, types
def enhance(*arguments, **options):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        print("cleared up")
stand_in = types.ModuleType("isocenter.tasks.ct_enhance.enhance")
stand_in.enhance = enhance
sys.modules["isocenter.tasks.ct_enhance.enhance"] = stand_in
from isocenter.cli import main
main(["enhance", "scan", "--output", "out"])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 143
    assert result.stdout == "cleared up\n"


def test_an_unknown_option_is_refused(stand: Stand) -> None:
    result = run("enhance", SCAN, "--output", "out", "--stength", "1")
    assert result.exit_code == 2
    assert "--stength" in result.stderr


def test_enhance_passes_every_option_on(stand: Stand, enhanced: SimpleNamespace) -> None:
    call = stand("isocenter.tasks.ct_enhance.enhance", "enhance", enhanced)
    given = "--series 1.2 --largest-run --strength medium --samples 2 --steps 8 --seed 7 --model m"
    more = "--dose-fraction 0.25 --device auto --force"
    run("enhance", SCAN, "-o", "out", *given.split(), *more.split())
    (arguments, options) = call.calls[0]
    options.pop("progress")
    assert arguments == (Path(SCAN), Path("out"))
    assert options == {
        "series": "1.2",
        "largest_run": True,
        "strength": "medium",
        "samples": 2,
        "steps": 8,
        "seed": 7,
        "dose_fraction": 0.25,
        "model": Path("m"),
        "device": "auto",
        "force": True,
    }


def test_enhance_passes_only_what_the_task_takes(stand: Stand, enhanced: SimpleNamespace) -> None:
    from isocenter.tasks.ct_enhance.enhance import enhance

    signature = inspect.signature(enhance)
    call = stand("isocenter.tasks.ct_enhance.enhance", "enhance", enhanced)
    run("enhance", SCAN, "--output", "out")
    (arguments, options) = call.calls[0]
    bound = signature.bind(*arguments, **options)
    assert bound.arguments["input"] == Path(SCAN)


def test_options_left_out_mean_what_they_mean_in_python(
    stand: Stand, enhanced: SimpleNamespace
) -> None:
    from isocenter.tasks.ct_enhance.enhance import enhance, parse_strength

    defaults = inspect.signature(enhance).parameters
    call = stand("isocenter.tasks.ct_enhance.enhance", "enhance", enhanced)
    run("enhance", SCAN, "--output", "out")
    options = call.calls[0][1]
    assert parse_strength(options.pop("strength")) == defaults["strength"].default
    options.pop("progress")
    assert all(value == defaults[name].default for name, value in options.items())


def test_enhance_says_where_everything_lies(stand: Stand, enhanced: SimpleNamespace) -> None:
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", enhanced)
    result = run("enhance", SCAN, "--output", "out")
    assert result.exit_code == 0
    for path in (enhanced.series_folder, enhanced.report, enhanced.report.parent / "uncertainty"):
        assert result.stdout.count(f"{path}\n") == 1


def test_forced_warnings_are_repeated_at_the_end(stand: Stand, enhanced: SimpleNamespace) -> None:
    enhanced.warnings = ("Pixel spacing: measured 3 mm",)
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", enhanced)
    result = run("enhance", SCAN, "--output", "out", "--force")
    assert "warning: Pixel spacing: measured 3 mm" in result.stderr


def test_notes_are_told_where_they_are_seen(stand: Stand, enhanced: SimpleNamespace) -> None:
    enhanced.notes = ("1 file was damaged",)
    stand("isocenter.tasks.ct_enhance.enhance", "enhance", enhanced)
    assert "note: 1 file was damaged" in run("enhance", SCAN, "--output", "out").stderr


def test_each_command_names_its_own_option_for_a_series(
    stand: Stand, enhanced: SimpleNamespace
) -> None:
    problem = SeriesChoiceNeeded("2 series fit")
    for module, function, command, option in (
        (
            "isocenter.tasks.ct_enhance.enhance",
            "enhance",
            ("enhance", SCAN, "-o", "out"),
            "--series",
        ),
        (
            "isocenter.dicom.reading.open",
            "open_ct_series",
            ("evaluate", SCAN, SCAN),
            "--reference-series",
        ),
    ):
        stand(module, function, problem)
        result = run(*command)
        assert result.exit_code == 2
        assert f"with {option}." in result.stderr


def test_a_picture_is_a_png() -> None:
    result = run("evaluate", SCAN, SCAN, "--picture", "figure.jpg")
    assert result.exit_code == 2
    assert ".png" in result.stderr


def test_progress_is_shown_beside_the_results(
    stand: Stand, enhanced: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enhance(*arguments: Any, progress: Any, **options: Any) -> SimpleNamespace:
        for done in range(4):
            progress(done, 3)
        return enhanced

    stand("isocenter.tasks.ct_enhance.enhance", "enhance", None)
    monkeypatch.setattr(sys.modules["isocenter.tasks.ct_enhance.enhance"], "enhance", enhance)
    result = run("enhance", SCAN, "--output", "out")
    assert "3/3" in result.stderr
    assert "3/3" not in result.stdout


def summary(**facts: Any) -> SimpleNamespace:
    common = {"number": 1, "key": "1.2.3", "modality": "CT", "sop_class_name": "CT Image Storage"}
    size = {"num_images": 40, "rows": 512, "columns": 512, "kernel": "B30f"}
    verdict = {"series_number": None, "slice_thickness_mm": None, "fits": True, "why_not": ""}
    rest = {"exposure_mas": None, "folder": "DOE JANE/ct", "num_damaged": 0}
    return SimpleNamespace(**common | size | verdict | rest | facts)


def test_series_lists_what_fits_and_why_the_rest_does_not(stand: Stand) -> None:
    found = [summary(), summary(number=2, fits=False, why_not="it is a localizer")]
    stand("isocenter.dicom.reading.open", "find_series", found)
    lines = run("series", SCAN).stdout.splitlines()
    assert any("B30f" in line and "yes" in line for line in lines)
    assert "2: it is a localizer" in lines


def test_series_gives_one_reason_once(stand: Stand) -> None:
    unfit = [summary(number=k, fits=False, why_not="a scout") for k in (1, 3, 4, 5, 8)]
    damaged = summary(number=2, num_damaged=2)
    stand("isocenter.dicom.reading.open", "find_series", [*unfit, damaged])
    lines = run("series", SCAN).stdout.splitlines()
    assert lines[-2:] == [
        "1, 3-5, 8: a scout",
        "2: 2 damaged or empty files lie in the same folders",
    ]


def test_series_of_two_doses_can_be_told_apart(stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary(), summary(exposure_mas=52.5)])
    assert "52.5" in run("series", SCAN).stdout


def test_folders_are_shown_when_asked_for_only(stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary()])
    assert "DOE" not in run("series", SCAN).stdout
    assert "Folder of 1: DOE JANE/ct" in run("series", SCAN, "--folders").stdout


def test_series_shows_the_number_that_the_scanner_gave(stand: Stand) -> None:
    stand(
        "isocenter.dicom.reading.open",
        "find_series",
        [summary(series_number=603), summary(number=2)],
    )
    output = run("series", SCAN).stdout
    assert "603" in output
    assert "None" not in output


def test_series_shows_how_thick_slices_are(stand: Stand) -> None:
    found = [summary(slice_thickness_mm=1.25), summary(number=2)]
    stand("isocenter.dicom.reading.open", "find_series", found)
    assert run("series", SCAN).stdout.count(" mm ") == 1


def test_series_without_pixels_shows_no_size(stand: Stand) -> None:
    found = [summary(modality="RWV", rows=0, columns=0, fits=False, why_not="not a CT")]
    stand("isocenter.dicom.reading.open", "find_series", found)
    assert "0 x 0" not in run("series", SCAN).stdout


def test_identifiers_are_shown_when_asked_for_only(stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "find_series", [summary()])
    assert "1.2.3" not in run("series", SCAN).stdout
    assert "1.2.3" in run("series", SCAN, "--uids").stdout


class Compared:
    def as_dict(self) -> dict[str, Any]:
        return {"fidelity": [{"psnr_db": 40.5}]}

    def rows(self) -> list[tuple[str, ...]]:
        return [("PSNR, HU range", "", "", "40.50 dB")]

    def save_json(self, file: Path) -> Path:
        file.write_text("figures")
        return file

    def save_picture(self, file: Path) -> Path:
        file.write_text("picture")
        return file


def test_evaluate_prints_a_table_and_writes_what_it_is_asked_for(
    stand: Stand, tmp_path: Path
) -> None:
    stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    figures, picture = tmp_path / "new" / "figures.json", tmp_path / "picture.png"
    result = run("evaluate", "a", "b", "--json", str(figures), "--picture", str(picture))
    assert result.exit_code == 0
    assert "40.50 dB" in result.stdout
    assert figures.read_text() == "figures"
    assert picture.read_text() == "picture"


def test_evaluate_can_print_json_alone(stand: Stand) -> None:
    stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    assert json.loads(run("evaluate", "a", "b", "--json", "-").stdout) == Compared().as_dict()


def test_evaluate_opens_each_side_as_it_is_told(stand: Stand) -> None:
    opened = stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    compare = stand("isocenter.evaluation.compare", "evaluate", Compared())
    run("evaluate", "a", "b", "--reference-series", "2", "--test-series", "1", "--largest-run")
    common = {"run": "largest", "accept_enhanced": True}
    assert opened.calls == [
        ((Path("a"),), {"series": "2", **common}),
        ((Path("b"),), {"series": "1", **common}),
    ]
    assert compare.calls[0][0] == ("a scan", "a scan")


def test_evaluate_says_which_of_the_two_is_refused(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_ct_series(scan: Path, **_: Any) -> str:
        if scan == Path("b"):
            raise UnreadableInput("the input does not exist")
        return "a scan"

    stand("isocenter.dicom.reading.open", "open_ct_series", None)
    monkeypatch.setattr(
        sys.modules["isocenter.dicom.reading.open"], "open_ct_series", open_ct_series
    )
    result = run("evaluate", "a", "b")
    assert result.exit_code == 2
    assert "TEST: the input does not exist" in result.stderr


def test_a_json_file_that_cannot_be_written_is_refused(stand: Stand, tmp_path: Path) -> None:
    stand("isocenter.dicom.reading.open", "open_ct_series", "a scan")
    stand("isocenter.evaluation.compare", "evaluate", Compared())
    (tmp_path / "file").write_text("in the way")
    result = run("evaluate", "a", "b", "--json", str(tmp_path / "file" / "figures.json"))
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


def test_demo_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    result = run("demo", "--output", str(tmp_path))
    assert result.exit_code == 2
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_demo_makes_enhances_and_compares_a_phantom_scan(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isocenter.modelpack.ct_enhance.contract import IdentityEnhancer
    from isocenter.physics import ct_phantom as phantom

    stand("isocenter.modelpack.folder", "load_folder", IdentityEnhancer())
    small = partial(phantom.low_dose_phantom, size=160)
    monkeypatch.setattr(phantom, "low_dose_phantom", small)
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--output", "demo", "--slices", "3")
    assert result.exit_code == 0, result.stderr
    assert "PSNR" in result.stdout
    places = [Path(line.split(":", 1)[1].strip()) for line in result.stdout.splitlines()[-4:]]
    assert [place.name for place in places] == [
        "low-dose",
        "enhanced",
        "uncertainty",
        "report.html",
    ]
    assert all(place.is_absolute() and place.exists() for place in places)


def test_demo_without_a_model_leaves_nothing(stand: Stand, tmp_path: Path) -> None:
    stand("isocenter.modelpack.folder", "load_folder", ModelRefused("weights were altered"))
    assert run("demo", "--output", str(tmp_path / "demo")).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_train_takes_known_recipes_only(stand: Stand) -> None:
    result = run("train", "no_such_recipe", "--data", "d", "--output", "o")
    assert result.exit_code == 2
    assert "ct_enhance" in result.stderr


def test_model_prints_the_card_and_the_digest(stand: Stand) -> None:
    card = {"intended_use": "research"}
    model = SimpleNamespace(name="ct", version="1", weights_sha256="ab" * 32, card=card)
    load = stand("isocenter.modelpack.folder", "load_folder", model)
    result = run("model", "folder")
    assert load.calls == [((Path("folder"),), {"kind": "CtEnhancer"})]
    assert "ab" * 32 in result.stdout
    assert "intended_use" in result.stdout
