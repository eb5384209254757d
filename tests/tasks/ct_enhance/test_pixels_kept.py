"""The shipped model gives the pixels that it gave when its results were stored, to the last bit.

A change of structure must leave this test as it is. What is meant to change pixels replaces the
stored digests and says so in the changelog under "Image values".

Processors of one family differ in the instructions that they have, and with them in the last bit of
a float. So the runs are told to use only what every x86-64 processor has.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

# What oneDNN, MKL, ATen and NumPy may use, and one thread, so that sums have one order.
EVERY_PROCESSOR = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
SHAPE = (3, 256, 256)
SPACING_MM = (3.0, 1.4, 1.4)

# SHA-256 over the stored values of the series and over the float values of its map.
KEPT = {
    "mean": (
        "02ee26b2244dec391b03cc2731df9ae3818da5d9b9761a1848a39724752d5605",
        "4b9f2025af15de437dd473958c56fafd041456e4e9fe4e777d6cff77291f3431",
    ),
    "blend": (
        "67d695e8090b0d64e346ffb7d6ab463672f87f665d79ababea3bab1f033c3f0e",
        "b0d183a891e9d515f1d4bc59457addc02aae40ab4d323e55ee74a866ee84d709",
    ),
    "sample": (
        "a52d8db86b3e8dc068b6043c2f31a70d6471c0fcfd5c8d3fb9863f40864983a2",
        "2b5e8fd92d369ee886b6197099132731211aaffc82ba95394ede701e890ab3ce",
    ),
}


def trunk_hu(seed: int) -> np.ndarray:
    """Muscle with fat around it and two lungs, in air, with white noise."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[-1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    image = np.full(SHAPE[1:], -1000.0)
    image[row**2 + column**2 < 0.7] = -100
    image[row**2 + column**2 < 0.5] = 40
    for side in (-1, 1):
        image[((row + 0.3) / 0.25) ** 2 + ((column - 0.35 * side) / 0.2) ** 2 < 1] = -850
    return np.asarray(np.rint(image + rng.normal(0, 20 + 8 * seed, SHAPE)))


@pytest.fixture
def scans(
    write_classic_ct: Callable[..., Any], write_enhanced_ct: Callable[..., Any], tmp_path: Path
) -> dict[str, tuple[Path, list[str]]]:
    """Three scans, and the options that each is enhanced with."""

    def stored(seed: int, slope: float = 1.0) -> np.ndarray:
        return np.rint((trunk_hu(seed) + 1024) / slope).astype(np.int64)

    padded = stored(1)
    padded[:, :20, :20] = -2000
    wanted: dict[str, tuple[Callable[..., Any], dict[str, Any], list[str]]] = {
        "mean": (write_classic_ct, {"stored": stored(0)}, []),
        "blend": (
            write_classic_ct,
            {"stored": padded, "padding": -2000},
            ["--strength", "0.5", "--samples", "2", "--dose-fraction", "0.25"],
        ),
        "sample": (
            write_enhanced_ct,
            {"stored": stored(2, 0.5), "slope": 0.5},
            ["--strength", "1", "--steps", "3", "--seed", "7"],
        ),
    }
    found = {}
    for seed, (name, (write, options, arguments)) in enumerate(wanted.items()):
        write(folder=tmp_path / name, seed=seed, spacing_mm=SPACING_MM, **options)
        found[name] = (tmp_path / name, arguments)
    return found


def digest_of(files: list[Path], keyword: str) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(pydicom.dcmread(file)[keyword].value)
    return digest.hexdigest()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="another processor")
@pytest.mark.parametrize("name", KEPT)
def test_stored_results_are_equal_to_the_last_bit(
    scans: dict[str, tuple[Path, list[str]]], name: str, tmp_path: Path
) -> None:
    scan, options = scans[name]
    result = tmp_path / f"{name} result"
    command = [sys.executable, "-m", "isocenter", "enhance", str(scan), "-o", str(result), *options]
    done = subprocess.run(
        command, env=os.environ | EVERY_PROCESSOR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    images = sorted((result / "enhanced").glob("*.dcm"))
    maps = sorted((result / "uncertainty").glob("*.dcm"))
    assert (digest_of(images, "PixelData"), digest_of(maps, "FloatPixelData")) == KEPT[name]
