"""Where networks run."""

from __future__ import annotations

import re

from isocenter.core.errors import InputRefused


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda" where there is such a device, else "cpu".

    Raises:
        InputRefused: an unknown name, or "cuda" on a machine without it.
    """
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", device):
        raise InputRefused("device must be cpu, cuda, cuda:N or auto")
    if device == "cpu":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return "cpu"
    raise InputRefused(f"device {device} was asked for, but there is none here; use cpu or auto")
