"""A command line that is not understood is explained without a word of what was typed.

What was typed may be a path, and a path may hold a patient's name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from typer.testing import Result

from isocenter.cli.usage import without_what_was_typed

Invoke = Callable[..., Result]
NAME = "DOE_JANE_19700101"

WRONG = {
    "no command": NAME,
    "nearly a command": f"enhanse{NAME}",
    "no option of the program": f"--{NAME}",
    "no option, with a value": f"--{NAME}=1 series x",
    "no short option": f"-{NAME}",
    "no output": f"enhance {NAME}",
    "no input": f"enhance -o {NAME}",
    "two inputs": f"enhance x {NAME} -o out",
    "a seed that is no number": f"enhance x -o out --seed {NAME}",
    "the same with =": f"enhance x -o out --seed={NAME}",
    "a number of samples": f"enhance x -o out --samples {NAME}",
    "steps": f"enhance {NAME} -o out --steps 99",
    "a strength": f"enhance x -o out --strength {NAME}",
    "a dose": f"enhance x -o out --dose-fraction {NAME}",
    "a dose out of range": f"enhance {NAME} -o out --dose-fraction 7",
    "a flag with a value": f"enhance x -o out --force={NAME}",
    "a device": f"enhance x -o out --device {NAME}",
    "a model": f"enhance x -o out --model {NAME}",
    "an input that is not there": f"enhance {NAME} -o out",
    "a value that is missing": f"enhance {NAME} -o {NAME} --seed",
    "an output that is missing": f"enhance {NAME} -o",
    "no option of a command": f"enhance x -o out --{NAME}",
    "nearly an option": f"series {NAME} --uid",
    "two folders to list": f"series {NAME} {NAME}",
    "nothing to list": f"series {NAME}",
    "one series to compare": f"evaluate {NAME}",
    "three series to compare": f"evaluate a b {NAME}",
    "series that are not there": f"evaluate {NAME} {NAME}",
    "a range": f"evaluate a b --range {NAME} 2",
    "half a range": f"evaluate {NAME} b --range 1",
    "a picture": f"evaluate a b --picture {NAME}",
    "an argument of the demonstration": f"demo {NAME}",
    "slices": f"demo --slices {NAME}",
    "too few slices": "demo --slices 1",
    "a recipe": f"train {NAME} --data d -o out",
    "data that are not there": f"train ct_enhance --data {NAME} -o {NAME}",
    "a setting": f"train ct_enhance --data d -o out --set {NAME}",
    "a setting's name": f"train ct_enhance --data d -o out --set {NAME}=1",
    "settings that are not there": f"train ct_enhance --data d -o out --settings {NAME}",
    "a model's folder": f"model {NAME}",
    "two models": f"model {NAME} {NAME}",
    "a folder to clean": f"clean {NAME}",
    "two folders to clean": f"clean {NAME} {NAME}",
    "nearly an option of clean": f"clean {NAME} --dry",
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_what_was_typed_is_not_repeated(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*line.split())
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    words = "".join(letter for letter in result.output if letter.isalnum() or letter == "_")
    assert NAME not in words  # a frame may break a line within a name
    assert words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("enhanse x", "Did you mean 'enhance'?"),
        ("xyz", "There are enhance,"),
        ("enhance x -o out --forc", "Did you mean --force?"),
        ("enhance x -o out --seed x", "'--seed': it takes a whole number of at least 0."),
        ("enhance x -o out --steps 99", "'--steps': it takes a whole number from 1 to 8."),
        ("enhance x -o out --dose-fraction x", "'--dose-fraction': it takes a number."),
        ("evaluate a b --range x 2", "'--range': it takes 2 values"),
        ("train xyz --data d -o out", "'RECIPE': it takes one of"),
        ("enhance x -o", "Option -o needs a value."),
        ("enhance x -o out --force=1", "Option --force takes no value."),
        ("enhance x", "Missing option '--output' / '-o'."),
        ("series a b", "more arguments than this command takes"),
    ],
)
def test_what_is_taken_is_said(invoke: Invoke, line: str, words: str) -> None:
    said = " ".join(invoke(*line.split()).stderr.replace("│", " ").split())
    assert words in said


def test_a_path_that_click_checks_is_not_repeated_either() -> None:
    path = click.Argument(["scan"], type=click.Path(exists=True))
    command = click.Command("look", params=[path])
    with pytest.raises(click.BadParameter, match=NAME) as raised:
        command.make_context("look", [NAME])
    told = without_what_was_typed(raised.value)
    words = "Invalid value for 'SCAN': it takes a file or folder that is there."
    assert told.format_message() == words
    assert NAME not in without_what_was_typed(click.UsageError(f"Odd: {NAME}")).format_message()


@pytest.mark.parametrize("place", ["input", "output", "limits"])
def test_a_name_with_a_nul_is_refused_in_words(invoke: Invoke, place: str) -> None:
    names = {"input": "scan", "output": "out", "limits": "limits.toml"}
    names[place] = f"{NAME}\0"
    more = ["--limits", names["limits"]] if place == "limits" else []
    result = invoke("enhance", names["input"], "-o", names["output"], *more)
    assert result.exit_code == 2
    assert "NUL" in result.stderr
    assert NAME not in result.stderr + result.stdout
