"""What the benchmark measures, in masks and heads that are known."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.simulate_brain.contrast import Head, peak, ratios
from benchmarks.simulate_brain.plaques import measured


def test_lesions_are_counted_and_measured() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[2:6, 2:6, 2:10] = True
    mask[12, 12, 12:15] = True
    mask[18, 18, 18] = True  # below the least
    figures = measured([mask])
    assert figures["lesions_of_a_patient"][1] == 2
    assert figures["load_ml"][1] == pytest.approx(0.13, abs=0.01)
    assert figures["volume_mm3"][1] == (4 * 4 * 8 + 3) / 2
    assert figures["second_and_third_axis"] == pytest.approx([0.49, 0.49], abs=0.02)


def test_ratios_are_those_of_the_tissues() -> None:
    tissue = np.repeat([0, 1, 2], 20)[None, None].repeat(60, 1).repeat(2, 0)
    noise = np.random.default_rng(1).normal(0, 2, tissue.shape)
    levels = {"T1": (40, 100, 150), "T2": (300, 130, 100), "FLAIR": (20, 120, 100)}
    images = {name: np.choose(tissue, of) + noise for name, of in levels.items()}
    everywhere = np.ones(tissue.shape, bool)
    found = ratios(Head(name="known", images=images, brain=everywhere, lesion=~everywhere))
    assert found["T1 gray/white"] == pytest.approx(100 / 150, abs=0.02)
    assert found["T2 fluid/white"] == pytest.approx(3, abs=0.05)
    assert found["FLAIR fluid/white"] == pytest.approx(0.2, abs=0.02)


def test_the_peak_is_the_most_frequent_value() -> None:
    values = np.random.default_rng(1).normal(750, 40, 5000)
    assert peak(values) == pytest.approx(750, abs=25)
