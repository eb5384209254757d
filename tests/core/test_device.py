"""Devices are named as PyTorch names them, or refused."""

from __future__ import annotations

import pytest

from isocenter.core.device import resolve_device
from isocenter.core.errors import InputRefused


def test_unknown_devices_are_refused() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    for name in ("tpu", "cuda:", "CPU", ""):
        with pytest.raises(InputRefused, match="cpu, cuda, cuda:N or auto"):
            resolve_device(name)
