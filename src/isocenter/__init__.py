"""Generative medical imaging that can be trusted: DICOM in, DICOM out, with proof.

Every registered task is a function here, such as :func:`enhance`; :mod:`isocenter.tasks.registry`
lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isocenter.core.version import __version__

__all__ = ["__version__", "enhance", "evaluate", "judge"]

if TYPE_CHECKING:
    from isocenter.evaluation.compare import evaluate
    from isocenter.evaluation.denoiser.judge import judge_denoiser as judge
    from isocenter.tasks.ct_enhance.enhance import enhance


def __getattr__(name: str) -> Any:
    """Load the main calls on first use, so that importing the package stays fast."""
    if name == "enhance":
        from isocenter.tasks.ct_enhance.enhance import enhance

        return enhance
    if name == "evaluate":
        from isocenter.evaluation.compare import evaluate

        return evaluate
    if name == "judge":
        from isocenter.evaluation.denoiser.judge import judge_denoiser

        return judge_denoiser
    from isocenter.tasks.registry import TASKS, task_of

    if name in TASKS:
        from isocenter.tasks.python_call import python_call

        return python_call(task_of(name))
    raise AttributeError(f"module 'isocenter' has no attribute {name!r}")
