from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.stroke_adc.simulated import measure as measure_simulated
from benchmarks.stroke_adc.volunteers import measure, read_scans
from tests.dicom.diffusion_files import SPACING_MM, adc_of, signal_of


def test_a_scan_is_compared_with_its_own_map(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "head.npz",
        b0=signal_of(0.0, noise=50.0),
        dwi=signal_of(1000.0, noise=50.0) / 2,
        adc=adc_of() + 10.0 * (adc_of() > 0),
        scale_b0=1.0,
        scale_dwi=2.0,
        bvalue=1000.0,
        spacing_mm=np.array(SPACING_MM),
    )
    (scan,) = read_scans(tmp_path)
    figures = measure(scan)
    assert figures["bias_um2_per_s"] == pytest.approx(-10, abs=1)
    assert figures["r2"] > 0.99
    assert figures["marked_ml"] == pytest.approx(4.0)


def test_a_large_simulated_infarct_is_found() -> None:
    figures = measure_simulated(0, radius_mm=18.0, signal_to_noise=40.0)
    assert figures["dice"] > 0.9
    assert figures["marked_ml"] == pytest.approx(figures["true_ml"], rel=0.1)
    assert figures["r2"] > 0.9
