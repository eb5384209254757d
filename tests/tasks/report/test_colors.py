"""Palettes rise evenly in lightness, so that equal steps of a value are seen as equal."""

from __future__ import annotations

import numpy as np
import pytest

from isocenter.tasks.report.colors import lab_of, palette


def test_lightness_of_known_colors() -> None:
    """White, black and the red of sRGB, as colorimetry has them."""
    lab = lab_of(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]]))
    assert lab == pytest.approx(np.array([[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]), abs=0.05)


def test_the_sequential_palette_grows_lighter_by_even_steps() -> None:
    lightness = lab_of(palette("sequential"))[:, 0]
    steps = np.diff(lightness)
    assert lightness[0] < 12
    assert lightness[-1] > 90
    assert abs(steps - steps.mean()).max() < 0.4  # colors are whole numbers


def test_the_diverging_palette_is_black_in_the_middle_and_as_light_on_both_sides() -> None:
    colors = palette("diverging")
    lightness = lab_of(colors)[:, 0]
    assert colors[127].tolist() == colors[128].tolist()
    assert lightness[127] < 4
    assert np.all(np.diff(lightness[:128]) < 0)
    assert np.all(np.diff(lightness[128:]) > 0)
    assert lightness[0] == pytest.approx(lightness[-1], abs=5)
    assert colors[40, 2] > colors[40, 0]
    assert colors[215, 0] > colors[215, 2]


def test_an_unknown_palette_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="sequential"):
        palette("rainbow")
