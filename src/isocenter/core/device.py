"""Where networks run."""

from __future__ import annotations

import re

from isocenter.core.errors import SettingRefused


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda" where there is such a device, else "cpu".

    Raises:
        SettingRefused: an unknown name, or "cuda" on a machine without it.
    """
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", device):
        raise SettingRefused("device must be cpu, cuda, cuda:N or auto")
    if device == "cpu":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return "cpu"
    raise SettingRefused(f"device {device} was asked for, but there is none here; use cpu or auto")
