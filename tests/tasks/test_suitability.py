"""The guard measures before any work and says what it measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from isocenter.core.acquisition import CtAcquisition
from isocenter.core.errors import UnsuitableScan
from isocenter.tasks.suitability import (
    check_suitability,
    evenly_spread,
    judge,
    measure_scan,
)

Make = Callable[..., Any]


def test_a_trunk_within_the_ranges_passes(make_scan: Make, doubles: Any) -> None:
    suitability = check_suitability(make_scan(), doubles.Accepted())
    assert suitability.broken == ()
    assert suitability.warnings == ()


def test_noise_and_size_are_measured(make_scan: Make) -> None:
    measures = measure_scan(make_scan(noise_hu=30.0))
    assert measures.noise_hu == pytest.approx(30, rel=0.3)
    assert measures.field_of_view_mm == pytest.approx(96 * 3.5)
    radius_cm = np.sqrt(0.7) * 96 * 0.35 / 2
    assert measures.trunk_area_cm2 == pytest.approx(np.pi * radius_cm**2, rel=0.03)
    assert not measures.cut_off


@pytest.mark.parametrize(
    ("rule", "ranges", "words"),
    [
        ("pixel_spacing", {"pixel_spacing_mm": (0.5, 1.0)}, ["3.500 mm", "0.50 to 1.00", "1.00"]),
        ("field_of_view", {"field_of_view_mm": (400.0, 500.0)}, ["336 mm", "400 to 500", "400 mm"]),
        ("slice_thickness", {"slice_thickness_mm": (0.5, 2.0)}, ["3.00 mm", "0.50 to 2.00"]),
        ("noise_level", {"noise_hu": (40.0, 90.0)}, ["40 to 90 HU", "already quieter"]),
        ("noise_level", {"noise_hu": (1.0, 10.0)}, ["1 to 10 HU", "smoother kernel"]),
        (
            "noise_texture",
            {"noise_mean_frequency_per_mm": (0.5, 0.9)},
            ["kernel STANDARD", "0.50 to 0.90 cycles/mm", "sharper"],
        ),
    ],
)
def test_what_is_outside_is_refused_with_both_numbers(
    make_scan: Make, doubles: Any, rule: str, ranges: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UnsuitableScan) as refusal:
        check_suitability(make_scan(), replace(doubles.Accepted(), **ranges))
    assert refusal.value.reason == rule
    assert refusal.value.can_be_forced
    assert all(word in str(refusal.value) for word in [*words, "--force"])


def test_every_broken_rule_is_named(make_scan: Make, doubles: Any) -> None:
    accepted = doubles.Accepted(pixel_spacing_mm=(0.5, 1.0), noise_hu=(40.0, 90.0))
    with pytest.raises(UnsuitableScan) as refusal:
        check_suitability(make_scan(), accepted)
    assert "Pixel spacing" in str(refusal.value)
    assert "Noise in the quietest soft tissue" in str(refusal.value)


def test_force_goes_on_with_warnings(make_scan: Make, doubles: Any) -> None:
    accepted = doubles.Accepted(pixel_spacing_mm=(0.5, 1.0))
    (warning,) = check_suitability(make_scan(), accepted, force=True).warnings
    assert "3.500 mm" in warning
    assert "0.50 to 1.00 mm" in warning


@pytest.mark.parametrize("name", ["HEAD", "brain", "C SPINE", "KNEE"])
def test_parts_outside_the_trunk_are_refused(make_scan: Make, doubles: Any, name: str) -> None:
    scan = make_scan(acquisition=CtAcquisition(body_part=name))
    with pytest.raises(UnsuitableScan, match="Body part") as refusal:
        check_suitability(scan, doubles.Accepted())
    assert refusal.value.reason == "body_part"


@pytest.mark.parametrize("name", ["", "CHEST", "ABDOMEN", "TH CT CHEST WO C", "LIVER"])
def test_other_names_of_body_parts_pass(make_scan: Make, doubles: Any, name: str) -> None:
    check_suitability(make_scan(acquisition=CtAcquisition(body_part=name)), doubles.Accepted())


def test_a_cross_section_of_head_size_is_refused(make_scan: Make, doubles: Any) -> None:
    with pytest.raises(UnsuitableScan, match="Cross-section") as refusal:
        check_suitability(make_scan(spacing_mm=(3.0, 2.2, 2.2)), doubles.Accepted())
    assert refusal.value.reason == "trunk"


def test_a_trunk_cut_off_by_a_small_field_of_view_passes(make_scan: Make, doubles: Any) -> None:
    scan = make_scan()
    scan.array = scan.array[:, 20:76, 20:76]
    scan.spacing_mm = (3.0, 2.5, 2.5)
    suitability = check_suitability(scan, doubles.Accepted())
    assert suitability.measures.cut_off
    assert suitability.measures.trunk_area_cm2 < 300


def test_air_alone_is_refused_not_crashed_on(make_scan: Make, doubles: Any) -> None:
    scan = make_scan()
    scan.array = np.full_like(scan.array, -1000)
    with pytest.raises(UnsuitableScan, match="nothing"):
        check_suitability(scan, doubles.Accepted())


def test_pixels_that_are_not_square_are_refused(make_scan: Make, doubles: Any) -> None:
    with pytest.raises(UnsuitableScan, match="Shape of the pixels"):
        check_suitability(make_scan(spacing_mm=(3.0, 3.5, 3.2)), doubles.Accepted())


def test_thickness_falls_back_to_the_distance_between_slices(make_scan: Make) -> None:
    measures = measure_scan(make_scan(acquisition=CtAcquisition()))
    assert measures.slice_thickness_mm == 3.0
    assert not measures.thickness_from_header


def test_few_slices_are_read_however_long_the_series(make_scan: Make) -> None:
    scan = make_scan(shape=(40, 96, 96))
    read = []
    images = scan.array
    scan.values = lambda index: (read.append(index), images[index])[1]
    measure_scan(scan)
    assert read == [4, 12, 20, 28, 36]


def test_limits_belong_to_the_accepted_range(make_scan: Make, doubles: Any) -> None:
    measures = measure_scan(make_scan())
    exact = measures.noise_hu
    assert all(rule.fits for rule in judge(measures, doubles.Accepted(noise_hu=(exact, exact))))


@pytest.mark.parametrize(("count", "wanted"), [(1, 5), (4, 5), (5, 5), (6, 5), (300, 24)])
def test_indices_spread_evenly_without_repeats(count: int, wanted: int) -> None:
    chosen = evenly_spread(count, wanted)
    assert len(chosen) == len(set(chosen)) == min(count, wanted)
    assert all(0 <= index < count for index in chosen)
