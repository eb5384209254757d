"""The folder of a training run: begun once, gone on with only by what it was begun with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isocenter.core.errors import InputRefused, OutputRefused
from isocenter.core.files import write_json
from isocenter.core.settings import flat
from isocenter.training.processes import is_main_process, wait_for_all

RUN = "run.json"
# A run may go on with other values of these: they change no weight.
_HARMLESS = (
    "workers",
    "log_every",
    "checkpoint_every",
    "stop_after_minutes",
    "gradient_checkpointing",
)


def check_output(output: Path, *, resume: bool) -> None:
    """See that a run may use the folder.

    Raises:
        OutputRefused: it holds a run already, and nobody asked to go on with it.
    """
    if (output / RUN).exists() and not resume:
        raise OutputRefused(
            "the output folder holds a training already; go on with it by --resume "
            "(resume=True in Python), or name another folder",
            reason="output_taken",
        )


def begin_run(
    output: Path, recipe: Any, digests: Mapping[str, str], *, harmless: Sequence[str] = ()
) -> None:
    """Write down what decides the weights, or see that it is what the run began with.

    Args:
        output: the folder of the run.
        recipe: a dataclass, the whole configuration.
        digests: of everything else that decides, by what it is, such as "scans".
        harmless: further settings that change no weight.

    Raises:
        InputRefused: the run was begun with other settings or data.
    """
    path = output / RUN
    decides = json.loads(json.dumps({"recipe": asdict(recipe), **digests}))
    if path.exists():
        _check_same(json.loads(path.read_text()), decides, (*_HARMLESS, *harmless))
    wait_for_all()
    if is_main_process() and not path.exists():
        output.mkdir(parents=True, exist_ok=True)
        write_json(path, decides)
    wait_for_all()


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], harmless: Sequence[str]) -> None:
    old, new = (dict(flat(one["recipe"])) for one in (before, now))
    changed = sorted(
        name
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name) and name.split(".")[-1] not in harmless
    )
    if changed:
        raise InputRefused(
            f"the run in the output folder was begun with other settings: {', '.join(changed)}; "
            "give the same, or begin anew in another folder"
        )
    for what in now.keys() - {"recipe"}:
        if before.get(what) != now[what]:
            raise InputRefused(
                f"the {what} are not those that the run in the output folder was begun with; give "
                "the same data folder, or begin anew in another folder"
            )
