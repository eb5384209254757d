"""Generative medical imaging that can be trusted: DICOM in, DICOM out, with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isocenter.core.version import __version__

__all__ = ["__version__", "enhance", "evaluate", "load", "read"]

if TYPE_CHECKING:
    from isocenter.datasets.open_scan import read
    from isocenter.evaluation.compare import evaluate
    from isocenter.modelpack.folder import load
    from isocenter.tasks.ct_enhance.enhance import enhance


def __getattr__(name: str) -> Any:
    """Load the main calls on first use, so that importing the package stays fast."""
    if name == "enhance":
        from isocenter.tasks.ct_enhance.enhance import enhance

        return enhance
    if name == "evaluate":
        from isocenter.evaluation.compare import evaluate

        return evaluate
    if name == "load":
        from isocenter.modelpack.folder import load

        return load
    if name == "read":
        from isocenter.datasets.open_scan import read

        return read
    raise AttributeError(f"module 'isocenter' has no attribute {name!r}")
