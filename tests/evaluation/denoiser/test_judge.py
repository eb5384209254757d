from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import isocenter
from isocenter.core.errors import InputRefused, ModelRefused
from isocenter.core.volume import Geometry, Volume
from isocenter.evaluation.ct.noise_power import homogeneous_regions, noise_power_spectrum
from isocenter.evaluation.denoiser.fresh_noise import PairNoise
from isocenter.evaluation.denoiser.judge import JUDGEMENT_COLUMNS, Judgement, judge_denoiser
from isocenter.evaluation.plots import detectability_plot, noise_power_plot

SPACING_MM = (4.0, 1.0, 1.0)
Denoise = Callable[[NDArray], Any]


def texture(seed: int, level_hu: float, shape: tuple[int, ...]) -> NDArray:
    white = np.random.default_rng(seed).standard_normal(shape)
    noise = ndimage.gaussian_filter(white, (0, 0.7, 0.7)) - ndimage.gaussian_filter(
        white, (0, 3, 3)
    )
    return level_hu * noise / noise.std()


@pytest.fixture(scope="module")
def scans() -> tuple[Volume, Volume]:
    """A round liver in air, at 8 HU of noise and with 24 HU more."""
    row, column = np.indices((300, 300)) - 149.5
    liver = np.where(np.hypot(row, column) < 144, 60.0, -1000.0)
    shape = (2, 300, 300)
    reference = np.broadcast_to(ndimage.gaussian_filter(liver, 0.8), shape) + texture(1, 8, shape)
    geometry = Geometry(shape=shape, spacing_mm=SPACING_MM)
    full = Volume(array=reference.astype(np.float32), geometry=geometry, unit="HU")
    low = replace(full, array=(reference + texture(2, 24, shape)).astype(np.float32))
    return full, low


def blur(array: NDArray) -> NDArray:
    return ndimage.gaussian_filter(array, (0, 1.5, 1.5))


@pytest.fixture(scope="module")
def judged(scans: tuple[Volume, Volume]) -> Judgement:
    return judge_denoiser(blur, scans, name="blur", slices_per_scan=2, context=0)


def test_a_blur_is_seen_through(judged: Judgement) -> None:
    (case,) = judged.cases
    assert case.low.noise is not None
    assert case.denoised.noise is not None
    assert case.low.noise.test.noise_hu == pytest.approx(np.hypot(8, 24), rel=0.15)
    assert case.denoised.noise.test.noise_hu < 0.6 * case.low.noise.test.noise_hu
    assert case.denoised.sharpness["air or lung to soft tissue"].f50_ratio < 0.6
    assert judged.detectability is not None
    ratio = judged.detectability.overall_ratio("blur")
    assert ratio.ratio < 1.03
    assert judged.detectability.overall_ratio("full dose").ratio > 1.1
    assert judged.left_out == ()


def test_the_judgement_is_told_drawn_and_kept(judged: Judgement, tmp_path: Path) -> None:
    rows = judged.rows()
    assert all(len(row) == len(JUDGEMENT_COLUMNS) for row in rows)
    text = "\n".join(" ".join(row) for row in rows)
    for word in ("PSNR", "Noise", "f50", "HU bias", "d' over", "cannot win", "Time a slice"):
        assert word in text
    stored = json.loads(judged.save_json(tmp_path / "judged.json").read_text())
    assert stored["cases"][0]["denoised_against_reference"]["noise"]["num_regions"] > 0
    assert judged.save_picture(tmp_path / "judged.png", dpi=30).read_bytes()[1:4] == b"PNG"
    assert judged.detectability is not None
    assert detectability_plot(judged.detectability).axes
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_noise_power_is_drawn_of_a_comparison_or_a_scan(
    judged: Judgement, scans: tuple[Volume, Volume]
) -> None:
    assert len(noise_power_plot(judged.cases[0].denoised).axes[0].get_lines()) == 6
    assert len(noise_power_plot(scans[0]).axes[0].get_lines()) == 2
    with pytest.raises(ValueError, match="in HU"):
        noise_power_plot(replace(scans[0], unit=""))
    with pytest.raises(ValueError, match="no even soft tissue"):
        noise_power_plot(replace(scans[0], array=np.full_like(scans[0].array, -1000)))


def test_several_cases_of_arrays_are_averaged(scans: tuple[Volume, Volume]) -> None:
    both = (scans[0].array, scans[1].array)
    named = {"first": both, "second": both}
    found = isocenter.judge(lambda array: array, named, spacing_mm=SPACING_MM, observer=False)
    assert [case.name for case in found.cases] == ["first", "second"]
    assert found.left_out == ("lesions: not asked for",)
    noise = next(row for row in found.rows() if row.measure == "Noise")
    assert noise.low == noise.denoised
    assert " to " in noise.low


def test_fresh_noise_has_level_and_texture_of_the_pair(scans: tuple[Volume, Volume]) -> None:
    reference, low = scans
    noise = PairNoise(reference=reference, low=low)
    drawn = [noise(reference, np.random.default_rng(seed)) - reference.array for seed in (51, 52)]
    regions = homogeneous_regions(reference.array, spacing_mm=SPACING_MM)
    wanted, first, second = (
        noise_power_spectrum(image, regions, spacing_mm=SPACING_MM)
        for image in (low.array - reference.array, *drawn)
    )
    assert wanted is not None
    for found in (first, second):
        assert found is not None
        assert found.noise_hu == pytest.approx(wanted.noise_hu, rel=0.1)
        assert found.mean_frequency_per_mm == pytest.approx(wanted.mean_frequency_per_mm, rel=0.05)
    assert abs(np.corrcoef(drawn[0].ravel(), drawn[1].ravel())[0, 1]) < 0.05


def test_scans_without_places_for_lesions_say_so(scans: tuple[Volume, Volume]) -> None:
    first, second = (
        replace(
            volume,
            array=volume.array[:1, 60:140, 60:140],
            geometry=Geometry(shape=(1, 80, 80), spacing_mm=SPACING_MM),
        )
        for volume in scans
    )
    found = judge_denoiser(blur, (first, second))
    assert found.detectability is None
    assert "too few places" in found.left_out[0]


@pytest.mark.parametrize(
    ("denoiser", "words"),
    [
        (lambda array: array[0], r"the shape \(300, 300\)"),
        (lambda array: array * np.nan, "100 % numbers that are not finite"),
        (lambda array: array.astype(np.int16), "type int16"),
        (lambda array: array.tolist(), "gave a list"),
        (lambda array: None, "gave a NoneType"),
        (lambda array: (array + 1000) / 4000, "another unit"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(
    scans: tuple[Volume, Volume], denoiser: Denoise, words: str
) -> None:
    with pytest.raises(ModelRefused, match=words):
        judge_denoiser(denoiser, scans)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda full, low: (full.array, low.array), "give spacing_mm"),
        (lambda full, low: (low, full), "were they swapped"),
        (lambda full, low: (full, replace(low, unit="")), "in no unit"),
        (lambda full, low: (full.array[0], low.array[0]), r"shape \(300, 300\) arrived"),
        (lambda full, low: [], "no case"),
        (lambda full, low: [full], "no pair"),
        (lambda full, low: ("full", "low"), "no pair"),
        (lambda full, low: full, "no case"),
        (lambda full, low: (full, replace(low, array=low.array * np.nan)), "not finite"),
        (lambda full, low: (full, moved(low)), "not every slice"),
    ],
)
def test_cases_that_do_not_fit_are_refused_in_words(
    scans: tuple[Volume, Volume], change: Callable[..., Any], words: str
) -> None:
    with pytest.raises(InputRefused, match=words):
        judge_denoiser(blur, change(*scans), observer=False)


def moved(volume: Volume) -> Volume:
    """One slice further up."""
    return replace(volume, geometry=replace(volume.geometry, origin_mm=(0.0, 0.0, SPACING_MM[0])))


def test_other_impossible_wishes_are_refused(scans: tuple[Volume, Volume]) -> None:
    nobody: Any = "blur"
    with pytest.raises(InputRefused, match="a denoiser is a function"):
        judge_denoiser(nobody, scans)
    with pytest.raises(InputRefused, match="is taken"):
        judge_denoiser(blur, scans, name="low dose")
    with pytest.raises(InputRefused, match="observer=False"):
        judge_denoiser(blur, scans, slices_per_scan=0)


def test_an_error_of_the_denoiser_says_what_it_was_given(scans: tuple[Volume, Volume]) -> None:
    def broken(array: NDArray) -> NDArray:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck") as raised:
        judge_denoiser(broken, scans, observer=False)
    assert "given float32 HU of (2, 300, 300)" in raised.value.__notes__[0]
