from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.dicom.diffusion_files import SPACING_MM, adc_of, head_of, infarct_of, signal_of

from isocenter.image.diffusion_lesion import LesionRule, head_mask, lesion_mask, num_parts

NOISE = 300.0
RULE = LesionRule(adc_below_um2_per_s=620.0, bright_sd=2.5, smallest_ml=0.2)


def marked(
    weighted: NDArray, adc: NDArray, *, rule: LesionRule = RULE, measured: bool = True
) -> NDArray:
    return lesion_mask(
        weighted,
        adc,
        head=head_of(),
        measured=np.full(adc.shape, measured),
        spacing_mm=SPACING_MM,
        rule=rule,
    )


def test_the_head_is_found() -> None:
    found = head_mask(signal_of(0.0, noise=NOISE))
    assert np.mean(found == head_of()) > 0.99


def test_there_is_no_head_in_an_empty_image() -> None:
    assert not head_mask(np.zeros((2, 20, 20))).any()
    assert head_mask(np.where(head_of(), 7.0, 0.0)).any()


def test_an_infarct_is_marked_and_nothing_else() -> None:
    found = marked(signal_of(1000.0, noise=NOISE), adc_of())
    assert np.array_equal(found, infarct_of())
    assert num_parts(found) == 1


def test_a_healthy_head_has_nothing_marked() -> None:
    healthy = adc_of(with_infarct=False)
    assert not marked(signal_of(1000.0, with_infarct=False, noise=NOISE), healthy).any()


def test_what_is_bright_by_its_t2_alone_is_not_marked() -> None:
    adc = np.where(infarct_of(), 900.0, adc_of())
    assert not marked(signal_of(1000.0, noise=NOISE), adc).any()


def test_what_has_a_low_adc_and_is_not_bright_is_not_marked() -> None:
    dark = np.where(infarct_of(), 3000.0, signal_of(1000.0, noise=NOISE))
    assert not marked(dark, adc_of()).any()


def test_the_shading_of_coils_does_not_hide_a_lesion() -> None:
    shading = np.linspace(2.0, 0.7, 40)[None, None, :]
    found = marked(signal_of(1000.0, noise=NOISE) * shading[..., ::-1], adc_of())
    assert np.mean(found[infarct_of()]) > 0.9


@pytest.mark.parametrize(("smallest_ml", "is_kept"), [(3.9, True), (4.1, False)])
def test_small_ones_are_noise(smallest_ml: float, is_kept: bool) -> None:
    volume_ml = infarct_of().sum() * np.prod(SPACING_MM) / 1000
    assert volume_ml == pytest.approx(4.0)
    rule = replace(RULE, smallest_ml=smallest_ml)
    assert marked(signal_of(1000.0, noise=NOISE), adc_of(), rule=rule).any() == is_kept


def test_a_lower_threshold_marks_less() -> None:
    rule = replace(RULE, adc_below_um2_per_s=390.0)
    assert not marked(signal_of(1000.0, noise=NOISE), adc_of(), rule=rule).any()


def test_nothing_is_marked_where_nothing_was_measured() -> None:
    assert not marked(signal_of(1000.0, noise=NOISE), adc_of(), measured=False).any()
