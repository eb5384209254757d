"""Tiny Stable Diffusion models, and a folder of pictures of invented patients with reports."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.dicom.conftest import write_classic_ct
from tests.modelpack.stable_diffusion.conftest import tiny

__all__ = ["many_pictures", "pictures", "tiny", "write_classic_ct"]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``images`` and ``labels.csv``: eight pictures of four patients, not all square."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "images").mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "text", "patient"])
        for number in range(8):
            levels = np.random.default_rng(number).integers(0, 256, (32 + number, 40))
            Image.fromarray(levels.astype(np.uint8)).save(folder / "images" / f"{number}.png")
            table.writerow([f"{number}.png", f"a lung {number % 3}", f"patient {number % 4}"])
    return folder


@pytest.fixture(scope="session")
def many_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture each of ten patients, and ten each of two more: ``judge 0`` and ``judge 1``."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "images").mkdir()
    owners = [f"patient {k}" for k in range(10)] + [f"judge {k % 2}" for k in range(20)]
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "text", "patient"])
        for number, owner in enumerate(owners):
            cells = np.random.default_rng(number).integers(0, 256, (4, 5)).astype(np.uint8)
            picture = Image.fromarray(np.kron(cells, np.ones((8, 8), np.uint8)))
            picture.save(folder / "images" / f"{number}.png")
            table.writerow([f"{number}.png", "a lung", owner])
    return folder
