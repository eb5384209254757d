from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import UnreadableInput
from isocenter.datasets.ct_dose_cases import (
    SHARP_KERNELS,
    DoseCase,
    real_cases,
    sharp_cases,
    simulated_cases,
)
from isocenter.datasets.ct_pairs import TrainingScan

Make = Callable[..., TrainingScan]
DOSES = (0.5, 0.25, 0.1)


@pytest.fixture(scope="module")
def scan(make_dose_scan: Make) -> TrainingScan:
    return make_dose_scan()


@pytest.fixture(scope="module")
def cases(scan: TrainingScan) -> list[DoseCase]:
    return list(simulated_cases([scan], dose_fractions=DOSES, seed=1))


def added(case: DoseCase) -> NDArray:
    soft = np.abs(case.full_hu - 45) < 60
    return (case.low_hu - case.full_hu)[soft]


def test_noise_grows_as_the_dose_falls(cases: list[DoseCase]) -> None:
    """Half the dose adds once the scan's own variance, a tenth nine times."""
    levels = [added(case).std() for case in cases]
    for level, fraction in zip(levels, DOSES, strict=True):
        assert level == pytest.approx(15 * np.sqrt(1 / fraction - 1), rel=0.25)


def test_a_lower_dose_keeps_the_hu(cases: list[DoseCase]) -> None:
    for case in cases:
        assert added(case).mean() == pytest.approx(0, abs=3)


def test_a_case_tells_where_it_comes_from(scan: TrainingScan, cases: list[DoseCase]) -> None:
    assert [case.dose_fraction for case in cases] == list(DOSES)
    for case in cases:
        assert (case.name, case.patient, case.kernel, case.real) == ("a", "a", "B30f", False)
        assert case.in_plane_mm == scan.in_plane_mm
        assert np.array_equal(case.full_hu, scan.array)


def test_both_doses_hold_whole_hu_within_the_range_of_ct(cases: list[DoseCase]) -> None:
    for case in cases:
        for image in (case.full_hu, case.low_hu):
            assert image.dtype == np.float32
            assert image.min() >= -1024
            assert image.max() <= 3071
            assert np.array_equal(image, np.rint(image))


def test_a_seed_gives_the_same_cases_whatever_is_made_beside_them(
    scan: TrainingScan, cases: list[DoseCase]
) -> None:
    (alone,) = simulated_cases([scan], dose_fractions=[0.1], seed=1)
    assert np.array_equal(alone.low_hu, cases[2].low_hu)
    (other,) = simulated_cases([scan], dose_fractions=[0.1], seed=2)
    assert not np.array_equal(other.low_hu, alone.low_hu)


def test_scans_without_a_noise_measure_are_passed_over(make_dose_scan: Make) -> None:
    unknown = make_dose_scan(noise_hu=float("nan"))
    assert list(simulated_cases([unknown], dose_fractions=DOSES, seed=1)) == []


@pytest.mark.parametrize(
    ("slices", "num_judged", "kept", "judged"),
    [(9, 2, [2, 3, 4, 5], (1, 2)), (3, 2, [0, 1, 2], (0, 1)), (1, 2, [0], (0,))],
)
def test_the_middle_is_judged_and_its_neighbours_are_kept(
    make_dose_scan: Make, slices: int, num_judged: int, kept: list[int], judged: tuple[int, ...]
) -> None:
    scan = make_dose_scan(shape=(slices, 40, 40))
    (case,) = simulated_cases([scan], dose_fractions=[0.5], seed=1, num_judged=num_judged)
    assert np.array_equal(case.full_hu, scan.array[kept])
    assert case.judged == judged


def test_windows_hold_the_low_dose_neighbours(cases: list[DoseCase]) -> None:
    case = replace(cases[0], judged=(0, 1))
    (first, edge), (second, whole) = case.windows(1)
    assert (first, second) == (0, 1)
    assert np.array_equal(edge, case.low_hu[[0, 0, 1]])
    assert np.array_equal(whole, case.low_hu)


@pytest.mark.parametrize(("kernel", "used"), [("FC17", "STANDARD"), ("??", "STANDARD")])
def test_unknown_kernels_are_simulated_by_a_known_one(
    make_dose_scan: Make, kernel: str, used: str
) -> None:
    scan = make_dose_scan(shape=(1, 40, 40), kernel=kernel)
    (case,) = simulated_cases([scan], dose_fractions=[0.5], seed=1)
    assert case.kernel == used


# as sharp kernels would have shown them


@pytest.fixture(scope="module")
def sharp(scan: TrainingScan) -> list[DoseCase]:
    return list(sharp_cases([scan], dose_fractions=DOSES, seed=1))


def soft_tissue(scan: TrainingScan) -> NDArray:
    """Where trunk and not lung is, away from their edges."""
    row, column = np.mgrid[-1:1:64j, -1:1:64j]
    soft = (np.hypot(row, column) < 0.8) & (np.hypot(row - 0.3, column - 0.3) > 0.35)
    return np.broadcast_to(soft, scan.array.shape)


def test_a_sharp_standard_dose_is_as_noisy_as_such_scans_are(
    scan: TrainingScan, make_dose_scan: Make
) -> None:
    levels = []
    for seed in range(4):
        (case,) = sharp_cases([scan], dose_fractions=[0.5], seed=seed)
        made = (case.full_hu - scan.array)[soft_tissue(scan)]
        levels.append(made.std())
        assert made.mean() == pytest.approx(0, abs=4)
    # From 18 to 50 HU, beside what sharpening makes of the noise of the scan itself, 10 HU.
    assert 16 < min(levels) < max(levels) < 60
    assert max(levels) > 1.2 * min(levels)


def test_both_doses_share_the_standard_doses_noise(
    scan: TrainingScan, sharp: list[DoseCase]
) -> None:
    """What a lower dose adds is noise of its own, as large as the missing photons make it."""
    soft = soft_tissue(scan)
    smooth = np.where(soft, 45.0, 0.0)
    full = (sharp[0].full_hu - smooth)[soft]
    levels = []
    for case in sharp:
        assert np.array_equal(case.full_hu, sharp[0].full_hu)
        more = (case.low_hu - case.full_hu)[soft]
        assert np.corrcoef(more, full)[0, 1] == pytest.approx(0, abs=0.06)
        levels.append(more.std())
    wanted = np.sqrt([1 / fraction - 1 for fraction in DOSES])
    assert np.allclose(levels / levels[0], wanted / wanted[0], rtol=0.15)


def test_lower_doses_of_a_sharp_scan_have_noise_of_their_own(
    scan: TrainingScan, sharp: list[DoseCase]
) -> None:
    soft = soft_tissue(scan)
    first, second = ((case.low_hu - case.full_hu)[soft] for case in sharp[:2])
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.06)


def test_a_sharp_case_tells_its_kernel(scan: TrainingScan, sharp: list[DoseCase]) -> None:
    assert [case.dose_fraction for case in sharp] == list(DOSES)
    for case in sharp:
        assert case.kernel == sharp[0].kernel
        assert case.kernel in SHARP_KERNELS
        assert case.name == f"a {case.kernel}"
        assert (case.patient, case.real, case.in_plane_mm) == ("a", False, scan.in_plane_mm)
        for image in (case.full_hu, case.low_hu):
            assert image.dtype == np.float32
            assert image.min() >= -1024
            assert np.array_equal(image, np.rint(image))


def test_a_seed_gives_the_same_sharp_cases(scan: TrainingScan, sharp: list[DoseCase]) -> None:
    again = list(sharp_cases([scan], dose_fractions=DOSES, seed=1))
    other = list(sharp_cases([scan], dose_fractions=DOSES, seed=2))
    for case, same, different in zip(sharp, again, other, strict=True):
        assert np.array_equal(case.low_hu, same.low_hu)
        assert not np.array_equal(case.full_hu, different.full_hu)


@pytest.mark.parametrize(("noise_hu", "taken"), [(16.0, 1), (16.1, 0), (float("nan"), 0)])
def test_only_quiet_scans_are_made_sharp(make_dose_scan: Make, noise_hu: float, taken: int) -> None:
    scan = make_dose_scan(shape=(1, 40, 40), noise_hu=noise_hu)
    assert len(list(sharp_cases([scan], dose_fractions=[0.5], seed=1))) == taken


def test_real_pairs_need_their_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="real_low_dose"):
        real_cases(tmp_path)


@pytest.mark.real_data
def test_real_pairs_hold_more_noise_at_the_quarter_dose(data_folder: Path) -> None:
    cases = real_cases(data_folder)
    assert cases
    case = cases[0]
    assert case.real
    assert case.dose_fraction == 0.25
    assert case.low_hu.shape == case.full_hu.shape
    soft = np.abs(case.full_hu - 40) < 60
    assert case.low_hu[soft].std() > case.full_hu[soft].std()
