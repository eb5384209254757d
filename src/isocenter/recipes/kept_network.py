"""A network of a run that is fitted once and kept for when the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import nn

from isocenter.training.checkpoint import load_state, save_state
from isocenter.training.processes import is_main_process, wait_for_all

N = TypeVar("N", bound=nn.Module)


def kept_network(path: Path, kind: type[N], fitted: Callable[[], N]) -> N:
    """The network of a file, fitted first by one process where there is no such file.

    Args:
        path: of the file, in the folder of the run.
        kind: class of the network, whose ``config`` holds its arguments.
        fitted: makes it.
    """
    if not path.is_file() and is_main_process():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = fitted()
        save_state(path, {"config": made.config, "weights": made.state_dict()})
    wait_for_all()
    kept = load_state(path)
    network = kind(**kept["config"])
    network.load_state_dict(kept["weights"])
    return network
