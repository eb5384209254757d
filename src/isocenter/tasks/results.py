"""Checks of numbers on their way from a task to its writers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocenter.core.errors import ModelRefused


def check_numbers(values: NDArray, shape: tuple[int, ...], index: int) -> None:
    """Accept finite numbers of a slice's shape.

    Raises:
        ModelRefused: they are not.
    """
    if values.shape != shape or not np.isfinite(values).all():
        raise ModelRefused(
            f"The model gave no finite image for slice {index}; nothing was written. Try device "
            "cpu, and check the model folder."
        )
