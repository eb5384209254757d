"""Every registered task is declared completely, and every front offers it."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

import isocenter
from isocenter.core.errors import InputRefused
from isocenter.dicom.marking import CODING_SCHEME
from isocenter.tasks.python_call import python_call
from isocenter.tasks.registry import TASKS, task_of
from isocenter.tasks.settings import facts_of


@pytest.mark.parametrize("command", TASKS)
def test_a_task_explains_itself(command: str) -> None:
    task = task_of(command)
    assert task.command == command
    assert task.summary.endswith(".")
    assert len({output.name for output in task.outputs}) == len(task.outputs) > 0
    assert all(facts_of(each).help for each in fields(task.settings))
    assert all(output.derivation.scheme == CODING_SCHEME for output in task.outputs)


@pytest.mark.parametrize("command", TASKS)
def test_python_offers_every_task_with_its_settings(command: str) -> None:
    call = getattr(isocenter, command)
    taken = set(inspect.signature(call).parameters)
    assert taken >= {each.name for each in fields(task_of(command).settings)}
    assert call.__doc__


@pytest.mark.parametrize(
    ("name", "nearest"), [("strenght", "strength"), ("devise", "device"), ("larget_run", "largest")]
)
def test_an_unknown_name_in_a_call_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    call = python_call(task_of("enhance"))
    with pytest.raises(InputRefused, match=f"no setting {name}; did you mean {nearest}"):
        call("scan", "out", **{name: 1})


@pytest.mark.parametrize("command", TASKS)
def test_a_call_written_out_takes_what_the_declaration_takes(command: str) -> None:
    """And means the same where an option is left out."""
    written = inspect.signature(getattr(isocenter, command)).parameters
    declared = inspect.signature(python_call(task_of(command))).parameters
    assert {name: each.default for name, each in written.items()} == {
        name: each.default for name, each in declared.items()
    }
