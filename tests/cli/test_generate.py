"""``isocenter generate`` and ``isocenter edit``: what they pass on, print and tell."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from tests.tasks.generator_double import GeneratorDouble
from typer.testing import Result

from isocenter.cli.generate import AsOption
from isocenter.modelpack import folder
from isocenter.tasks.generate.settings import CAPTURE, FORMATS, OF_MODALITY

Invoke = Callable[..., Result]
GENERATE = ("isocenter.tasks.generate.generate", "generate")
EDIT = ("isocenter.tasks.edit.edit", "edit")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> GeneratorDouble:
    """A model that is loaded whatever name is given."""
    loaded = GeneratorDouble()
    monkeypatch.setattr(folder, "load", lambda name, device: loaded)
    return loaded


class Recorder:
    """Keeps what it was called with, and stops there."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def __call__(self, *arguments: Any, **options: Any) -> None:
        options.pop("progress")
        self.given = {"arguments": arguments, **options}
        raise KeyboardInterrupt


@pytest.mark.parametrize(("command", "place"), [("generate", GENERATE), ("edit", EDIT)])
def test_options_left_out_mean_what_they_mean_in_python(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, command: str, place: tuple[str, str]
) -> None:
    module = import_module(place[0])
    written = inspect.signature(getattr(module, place[1])).parameters
    recorder = Recorder()
    monkeypatch.setattr(module, place[1], recorder)
    inputs = ["in.png"] if command == "edit" else []
    invoke(command, "heads", *inputs, "-o", "out")
    given = dict(recorder.given)
    assert given.pop("arguments") == ("heads", *map(Path, inputs), Path("out"))
    for name, value in given.items():
        assert (value or written[name].default) == written[name].default, name
    keyword_only = [name for name, one in written.items() if one.kind is one.KEYWORD_ONLY]
    assert set(given) == set(keyword_only) - {"progress"}


def test_generate_passes_every_option_on(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(import_module(GENERATE[0]), "generate", recorder)
    options = "--class glioma --plane axial --box 0.6,0.4,0.15,0.1 --mask m.png --number 16 "
    options += "--seed 1 --steps 30 --guidance 3 --sampler flow --format png --as modality "
    options += "--attention --model FOLDER --device auto --private --labels l.csv "
    options += "--reference r.png --control CONTROL "
    options += "--set-number age=60 --condition population=child --condition view=PA"
    invoke("generate", "heads", "-o", "out", "--text", "a large mass", *options.split())
    assert recorder.given == {
        "arguments": ("heads", Path("out")),
        "class_": "glioma",
        "plane": "axial",
        "conditions": {"population": "child", "view": "PA"},
        "numbers": {"age": "60"},
        "box": "0.6,0.4,0.15,0.1",
        "mask": Path("m.png"),
        "text": "a large mass",
        "reference": Path("r.png"),
        "control": Path("CONTROL"),
        "labels": Path("l.csv"),
        "number": 16,
        "seed": 1,
        "steps": 30,
        "guidance": 3.0,
        "sampler": "flow",
        "format": "png",
        "written_as": "modality",
        "attention": True,
        "model": Path("FOLDER"),
        "device": "auto",
        "private": True,
    }


def test_the_choices_are_those_of_the_settings() -> None:
    from isocenter.cli import generate

    (literal, *_) = get_args(AsOption)
    assert get_args(literal) == (CAPTURE, OF_MODALITY)
    source = inspect.getsource(generate)
    assert f"Literal[{', '.join(json.dumps(one) for one in FORMATS)}]" in source


def test_images_are_drawn_and_told(invoke: Invoke, model: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    model.copies = lambda draw: draw == 1
    arguments = ["heads", "-o", str(out), "--number", "3", "--format", "png"]
    result = invoke("generate", *arguments, "--text", "a mass", "--attention", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["outcome"] == "done"
    assert document["counts"]["out"] == {
        "images": 3,
        "copies_replaced": 1,
        "outputs": 4,
        "files": 8,
    }
    assert [one["output"] for one in document["made"]] == [
        "images",
        "contact_sheet",
        "labels",
        "attention",
    ]
    assert document["result"]["copies_replaced"] == 1
    assert "copy" in document["notes"][0]
    assert set(document["timings"]["steps"]) == {"prepare", "work", "finish"}
    assert all(Path(one["path"]).exists() for one in document["made"])
    again = invoke("generate", *arguments, "--text", "a mass", "--attention")
    assert "earlier run" in again.stdout
    assert str(out / "labels.csv") in again.stdout


def test_a_refusal_is_told_in_words_and_by_its_reason(
    invoke: Invoke, model: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    result = invoke(
        "generate", "heads", "-o", str(tmp_path / "out"), "--class", "gliom", "--log", str(log)
    )
    assert result.exit_code == 2
    assert "did you mean glioma" in result.stderr
    assert "gliom'" not in result.stderr
    assert json.loads(log.read_text().splitlines()[-1])["reason"] == "setting"
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_shipped_is_refused_with_those_that_are(
    invoke: Invoke, tmp_path: Path
) -> None:
    result = invoke("generate", "brain_t2c", "-o", str(tmp_path / "out"), "--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["reason"] == "model"
    assert "no such model" in document["message"]
    assert "with the package" in document["message"]


@pytest.mark.parametrize("given", ["age", "age=1 --set-number age=2"])
def test_a_condition_is_name_and_value_and_given_once(invoke: Invoke, given: str) -> None:
    result = invoke("generate", "heads", "-o", "out", "--set-number", *given.split())
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.stderr or "given twice" in result.stderr


def test_an_image_is_altered_and_told(invoke: Invoke, model: Any, tmp_path: Path) -> None:
    source, out = tmp_path / "in.png", tmp_path / "out"
    Image.fromarray(np.zeros((32, 24), np.uint8)).save(source)
    arguments = ["heads", str(source), "-o", str(out), "--box", "0.5,0.5,0.25,0.25"]
    result = invoke("edit", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["counts"]["in"] == {"images": 1}
    assert document["counts"]["out"]["images"] == 1
    assert document["result"]["pixels_kept"] == 32 * 24 - 8 * 6
    again = invoke("edit", *arguments)
    assert f"{32 * 24 - 8 * 6} pixels outside the region" in again.stdout
    assert "earlier run" in again.stdout


def test_the_time_left_is_shown_while_images_are_drawn(
    invoke: Invoke, model: Any, tmp_path: Path
) -> None:
    result = invoke("generate", "heads", "-o", str(tmp_path / "out"), "--number", "2")
    assert "Generating" in result.stderr
    assert "2/2" in result.stderr
    assert "left" in result.stderr


@pytest.mark.parametrize(
    ("option", "example"), [("--condition", "class="), ("--set-number", "age=")]
)
@pytest.mark.parametrize("command", ["generate heads", "edit heads in.png"])
def test_a_condition_without_a_value_is_refused_by_an_example_that_fits(
    invoke: Invoke, command: str, option: str, example: str
) -> None:
    result = invoke(*command.split(), option, "axial", "--output", "out")
    assert result.exit_code == 2
    assert f"NAME=VALUE, such as {example}" in " ".join(result.stderr.split())
