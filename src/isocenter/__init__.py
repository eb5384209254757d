"""Generative medical imaging that can be trusted: DICOM in, DICOM out, with proof.

Every registered task is a function here, such as :func:`enhance`; :mod:`isocenter.tasks.registry`
lists them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from isocenter.core.version import __version__

__all__ = [
    "Limits",
    "__version__",
    "edit",
    "enhance",
    "evaluate",
    "generate",
    "judge",
    "load",
    "read",
]

if TYPE_CHECKING:
    from isocenter.core.limits import Limits
    from isocenter.datasets.open_scan import read
    from isocenter.evaluation.compare import evaluate
    from isocenter.evaluation.denoiser.judge import judge_denoiser as judge
    from isocenter.modelpack.folder import load
    from isocenter.tasks.ct_enhance.enhance import enhance
    from isocenter.tasks.edit.edit import edit
    from isocenter.tasks.generate.generate import generate

_CALLS = {
    "Limits": ("isocenter.core.limits", "Limits"),
    "edit": ("isocenter.tasks.edit.edit", "edit"),
    "enhance": ("isocenter.tasks.ct_enhance.enhance", "enhance"),
    "evaluate": ("isocenter.evaluation.compare", "evaluate"),
    "generate": ("isocenter.tasks.generate.generate", "generate"),
    "judge": ("isocenter.evaluation.denoiser.judge", "judge_denoiser"),
    "load": ("isocenter.modelpack.folder", "load"),
    "read": ("isocenter.datasets.open_scan", "read"),
}


def __getattr__(name: str) -> Any:
    """Load the main calls on first use, so that importing the package stays fast."""
    if name in _CALLS:
        module, function = _CALLS[name]
        return getattr(import_module(module), function)
    from isocenter.tasks.registry import TASKS, task_of

    if name in TASKS:
        from isocenter.tasks.python_call import python_call

        return python_call(task_of(name))
    raise AttributeError(f"module 'isocenter' has no attribute {name!r}")
