"""Scans to train on, made from seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.datasets.ct_pairs import TrainingScan


def trunk_hu(shape: tuple[int, int, int], *, noise_hu: float, seed: int) -> NDArray:
    """A trunk with a lung in air, with white noise, whole HU."""
    _, rows, columns = shape
    row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image = np.where(np.hypot(row, column) < 0.9, 45.0, -1000.0)
    image[np.hypot(row - 0.3, column - 0.3) < 0.3] = -850.0
    noise = np.random.default_rng(seed).normal(0, noise_hu, shape)
    return np.rint(image + noise).clip(-1024, 3071).astype(np.int16)


@pytest.fixture(scope="session")
def make_scan() -> Callable[..., TrainingScan]:
    def make(
        name: str = "a",
        *,
        shape: tuple[int, int, int] = (4, 96, 96),
        noise_hu: float = 10.0,
        seed: int = 0,
        measured: float | None = None,
    ) -> TrainingScan:
        return TrainingScan(
            name=name,
            patient=name,
            array=trunk_hu(shape, noise_hu=noise_hu, seed=seed),
            spacing_mm=(2.5, 1.2, 1.2),
            noise_hu=noise_hu if measured is None else measured,
            kernel="STANDARD",
            slice_thickness_mm=2.5,
        )

    return make


@pytest.fixture(scope="session")
def make_dose_scan() -> Callable[..., TrainingScan]:
    """A trunk of water with a lung, its measured noise stated and not its real one."""

    def make(
        patient: str = "a",
        *,
        shape: tuple[int, int, int] = (3, 64, 64),
        noise_hu: float = 15.0,
        kernel: str = "B30f",
        seed: int = 0,
    ) -> TrainingScan:
        _, rows, columns = shape
        row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        image = np.where(np.hypot(row, column) < 0.9, 45.0, -1000.0)
        image[np.hypot(row - 0.3, column - 0.3) < 0.25] = -850.0
        noise = np.random.default_rng(seed).normal(0, 10, shape)
        return TrainingScan(
            name=patient,
            patient=patient,
            array=np.rint(image + noise).clip(-1024, 3071).astype(np.int16),
            spacing_mm=(2.5, 2.5, 2.5),
            noise_hu=noise_hu,
            kernel=kernel,
            slice_thickness_mm=2.5,
        )

    return make
