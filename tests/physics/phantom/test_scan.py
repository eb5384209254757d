"""Images of a small head: contrast as radiologists know it, truth that fits, nothing by chance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.seeds import generator_for
from isocenter.physics.phantom.anatomy import tissue_number
from isocenter.physics.phantom.choices import ADC, CONTRASTS
from isocenter.physics.phantom.head import SimulatedHead, make_head
from isocenter.physics.phantom.scan import Flaws, Grid, Scan, Slice, acquired
from isocenter.physics.phantom.sequences import draw_sequence

GRID = Grid(shape=(9, 64, 64), spacing_mm=(6.0, 1.8, 1.8), thickness_mm=3.0)
IDEAL = Flaws(noise=0, others=0, bending=0)


def scan_of(head: SimulatedHead, *, flaws: Flaws = IDEAL, seed: int = 3, **more: object) -> Scan:
    sequences = {
        name: draw_sequence(name, field_tesla=3.0, rng=generator_for(seed, "diffusion"))
        if name.startswith("b")
        else draw_sequence(name, field_tesla=3.0, rng=generator_for(seed, name))
        for name in CONTRASTS
    }
    settings = {"grid": GRID, "with_adc": True, **more}
    return Scan(head=head, sequences=sequences, seed=seed, flaws=flaws, **settings)  # type: ignore[arg-type]


def middle_of(one: Slice, contrast: str, *names: str) -> float:
    inside = np.isin(one.tissues, [tissue_number(name) for name in names])
    return float(np.median(one.images[contrast][inside]))


@pytest.fixture(scope="module")
def ideal(healthy: SimulatedHead) -> Slice:
    return scan_of(healthy).prepared()(5)


@pytest.mark.parametrize(
    ("contrast", "order"),
    [
        ("T1", ("ventricle", "cortex", "white matter")),
        ("T2", ("white matter", "cortex", "ventricle")),
        ("FLAIR", ("ventricle", "white matter", "cortex")),
        ("b0", ("white matter", "cortex", "ventricle")),
        ("PD", ("white matter", "cortex")),
        ("ADC", ("white matter", "cortex", "ventricle")),
    ],
)
def test_tissues_are_in_the_order_that_a_contrast_has(
    contrast: str, order: tuple[str, ...], ideal: Slice
) -> None:
    levels = [middle_of(ideal, contrast, name) for name in order]
    assert levels == sorted(levels)


def test_without_flaws_the_adc_is_that_of_the_tissue(ideal: Slice, healthy: SimulatedHead) -> None:
    white = tissue_number("white matter")
    truth = float(np.median(healthy.maps.adc_um2_s[healthy.anatomy.tissues == white]))
    assert middle_of(ideal, ADC, "white matter") == pytest.approx(truth, rel=0.02)
    inside = ideal.brain & (ideal.images[ADC] > 0)
    assert np.median(np.abs(ideal.images[ADC] - ideal.adc_um2_s)[inside]) < 60


def test_slices_are_the_same_in_any_order(healthy: SimulatedHead) -> None:
    usual = scan_of(healthy, flaws=Flaws())
    third = list(usual.slices())[3]
    alone = usual.prepared()(3)
    for name, image in third.images.items():
        np.testing.assert_array_equal(alone.images[name], image)
    np.testing.assert_array_equal(alone.tissues, third.tissues)
    other = scan_of(healthy, flaws=Flaws(), seed=4).prepared()(3)
    assert (other.images["T1"] != third.images["T1"]).any()


def test_noise_is_where_nothing_is_and_as_strong_as_asked(healthy: SimulatedHead) -> None:
    one, two = (
        scan_of(healthy, flaws=dataclasses.replace(IDEAL, noise=level)).prepared()(8)
        for level in (1.0, 2.0)
    )
    corner = (slice(0, 12), slice(0, 12))
    assert not one.tissues[corner].any()
    ratio = two.images["T2"][corner].mean() / one.images["T2"][corner].mean()
    assert ratio == pytest.approx(2, rel=1e-3)


def test_lesions_are_seen_where_the_mask_says(tissues: NDArray[np.uint8]) -> None:
    head = make_head(tissues, seed=1, lesion="infarct", artery="MCA", age_hours=30.0)
    slices = list(scan_of(head).slices())
    most = max(slices, key=lambda one: np.count_nonzero(one.lesions))
    inside = most.lesions > 0
    rest = most.brain & ~inside & np.isin(most.tissues, np.unique(most.tissues[inside]))
    assert inside.any()
    assert np.median(most.images["b1000"][inside]) > 1.3 * np.median(most.images["b1000"][rest])
    assert np.median(most.images[ADC][inside]) < 0.75 * np.median(most.images[ADC][rest])
    assert np.median(most.images["FLAIR"][inside]) > 1.1 * np.median(most.images["FLAIR"][rest])


def test_a_rim_takes_up_agent_and_edema_is_bright_on_flair(tissues: NDArray[np.uint8]) -> None:
    head = make_head(tissues, seed=2, lesion="tumor")
    slices = list(scan_of(head).slices())
    rim = [one.lesions == 3 for one in slices]
    edema = [one.lesions == 2 for one in slices]
    white = [(one.tissues == tissue_number("white matter")) & (one.lesions == 0) for one in slices]

    def level(contrast: str, masks: list[NDArray]) -> float:
        return float(
            np.median(
                np.concatenate(
                    [one.images[contrast][m] for one, m in zip(slices, masks, strict=True)]
                )
            )
        )

    assert level("T1c", rim) > 1.15 * level("T1c", white)
    assert level("T1", rim) < level("T1", white)
    assert level("FLAIR", edema) > 1.2 * level("FLAIR", white)
    assert level(ADC, edema) > 1.3 * level(ADC, white)


def test_what_must_be_scanned_for_an_adc() -> None:
    assert acquired(["ADC", "T1"]) == ["T1", "b0", "b1000"]
    assert acquired(["b1000", "T2", "b1000"]) == ["b1000", "T2"]


def test_an_adc_without_its_images_is_refused(healthy: SimulatedHead) -> None:
    one = {"T1": draw_sequence("T1", field_tesla=3.0, rng=generator_for(0))}
    scan = Scan(head=healthy, sequences=one, grid=GRID, seed=0, with_adc=True)
    with pytest.raises(ValueError, match="b0 and b1000"):
        scan.prepared()
    with pytest.raises(ValueError, match="positive sizes"):
        Grid(shape=(0, 4, 4), spacing_mm=(1, 1, 1), thickness_mm=1)
    with pytest.raises(ValueError, match="noise"):
        Flaws(noise=-1)


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_sequences_have_times_in_order_and_say_them(contrast: str) -> None:
    for seed in range(12):
        one = draw_sequence(contrast, field_tesla=1.5, rng=generator_for(seed))
        assert 0 < one.te_ms < one.tr_ms
        assert one.ti_ms + one.train_ms < one.tr_ms
        said = one.acquisition(slice_thickness_mm=3.0)
        assert said.echo_time_ms == pytest.approx(one.te_ms, abs=0.01)
        assert (said.b_value_s_per_mm2 is not None) == contrast.startswith("b")
        assert bool(said.contrast_agent) == (contrast == "T1c")
    with pytest.raises(ValueError, match="contrast is one of"):
        draw_sequence("SWI", field_tesla=3.0, rng=generator_for(0))
