"""The libraries of the extra ``generate``: fetched when they are first used, missed in words."""

from __future__ import annotations

import importlib
from typing import Any

from isocenter.core.errors import InputRefused


def library(name: str) -> Any:
    """A module, such as "diffusers"; importing it takes seconds, once.

    Raises:
        InputRefused: it, or one that it needs, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputRefused(
            f"Stable Diffusion needs {error.name}, which is not installed; install the extra "
            "`generate`, such as by `pip install -e '.[generate]'`"
        ) from error
