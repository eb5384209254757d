"""Lesions grow where they occur, in sizes that were measured, and look as they should."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.physics.phantom.anatomy import WHITE, Anatomy
from isocenter.physics.phantom.choices import ARTERIES, MOST_HOURS
from isocenter.physics.phantom.head import SimulatedHead, make_head
from isocenter.physics.phantom.infarct import grow_infarct, infarct_factors, territory
from isocenter.physics.phantom.plaques import STATISTICS, _sizes, grow_plaques
from isocenter.physics.phantom.tumor import grow_tumor


def test_sizes_of_plaques_are_those_of_real_masks() -> None:
    drawn = [_sizes(np.random.default_rng(seed), None) for seed in range(60)]
    counts = np.array([len(sizes) for sizes in drawn])
    assert np.log(counts).mean() == pytest.approx(STATISTICS.log_count[0], abs=0.4)
    assert np.median(np.concatenate(drawn)) == pytest.approx(21, rel=0.5)
    loads = np.array([sizes.sum() for sizes in drawn])
    assert np.corrcoef(np.log(counts), np.log(loads))[0, 1] > 0.4


def test_plaques_lie_in_white_matter_and_more_often_near_ventricles(anatomy: Anatomy) -> None:
    plaques = grow_plaques(anatomy, np.random.default_rng(3), count=40)
    assert len(plaques) > 20
    white = anatomy.where(*WHITE, "cerebellar white matter", "brainstem")
    near = []
    for one in plaques:
        assert one.share.min() >= 0
        assert one.share.max() <= 1
        assert not one.share[~white[one.box]].any()
        middle = [int((part.start + part.stop) / 4) for part in one.box]
        limits = np.array(anatomy.ventricle_mm.shape) - 1
        near.append(anatomy.ventricle_mm[tuple(np.minimum(middle, limits))])
    everywhere = anatomy.ventricle_mm[np.isin(anatomy.coarse, anatomy.coarse[anatomy.coarse == 1])]
    assert np.mean(near) < everywhere.mean()


def test_territories_share_the_cerebrum_among_the_arteries() -> None:
    # Up, back and side.
    assert territory(np.array([0.0, 0.0, 0.7])) == 0  # insula and beyond
    assert territory(np.array([0.6, -0.4, -0.05])) == 1  # beside the falx, in front
    assert territory(np.array([0.0, 0.9, 0.1])) == 2  # occipital pole
    assert territory(np.array([-0.8, 0.1, 0.3])) == 2  # underside of the temporal lobe
    mirrored = np.random.default_rng(1).uniform(-1, 1, (100, 3))
    np.testing.assert_array_equal(territory(mirrored), territory(mirrored * (1, 1, -1)))


@pytest.mark.parametrize("artery", ARTERIES)
def test_an_infarct_keeps_to_one_side_and_to_its_territory(artery: str, anatomy: Anatomy) -> None:
    lesion = grow_infarct(anatomy, np.random.default_rng(5), artery=artery, age_hours=12.0)
    assert lesion.facts["artery"] == artery
    places = np.argwhere(lesion.share > 0.5) + [part.start for part in lesion.box]
    sides = anatomy.normalized(places)[:, 2]
    assert (sides > 0).mean() in (0.0, 1.0)
    assert (sides.mean() > 0) == (lesion.facts["side"] == "left")
    assert lesion.volume_mm3 >= 150


def test_an_infarct_ages_as_it_was_measured() -> None:
    first, hours, days, weeks = (infarct_factors(age) for age in (1.0, 4.0, 60.0, 500.0))
    assert first.adc_um2_s < 0.75
    assert first.t2_ms < 1.05  # not seen on FLAIR yet
    assert hours.t2_ms < 1.08 < days.t2_ms
    assert days.adc_um2_s < first.adc_um2_s
    assert weeks.adc_um2_s > 1.1
    # Below the threshold of a lesion while it is acute, in white and in gray matter.
    assert all(850 * infarct_factors(age).adc_um2_s < 620 for age in (2.0, 12.0, 48.0, 96.0))
    with pytest.raises(ValueError, match="age_hours is from 0"):
        infarct_factors(MOST_HOURS + 1)


def test_a_tumor_has_a_rim_that_takes_up_agent_and_edema_in_white_matter(
    anatomy: Anatomy,
) -> None:
    tumor = grow_tumor(anatomy, np.random.default_rng(4))
    parts = {one.name: one for one in tumor.lesions}
    assert {"edema", "enhancing tumor"} <= set(parts)
    assert parts["enhancing tumor"].agent_mm > 0
    assert parts["edema"].agent_mm == 0
    assert (tumor.anatomy.tissues != anatomy.tissues).any()
    white = tumor.anatomy.where(*WHITE)
    assert not parts["edema"].share[~white[parts["edema"].box]].any()
    bone = anatomy.where("cortical bone")
    np.testing.assert_array_equal(tumor.anatomy.where("cortical bone"), bone)


def test_a_head_is_the_same_again_and_another_with_another_seed(
    tissues: NDArray[np.uint8], healthy: SimulatedHead
) -> None:
    again = make_head(tissues, seed=1)
    np.testing.assert_array_equal(again.maps.t1_ms, healthy.maps.t1_ms)
    assert (make_head(tissues, seed=2).maps.t1_ms != healthy.maps.t1_ms).any()
    assert healthy.lesions == ()


def test_a_lesion_changes_the_maps_only_where_it_is(
    tissues: NDArray[np.uint8], healthy: SimulatedHead
) -> None:
    ill = make_head(tissues, seed=1, lesion="infarct", age_hours=24.0)
    share = ill.lesion_share("infarct")
    same = ill.maps.adc_um2_s == healthy.maps.adc_um2_s
    np.testing.assert_array_equal(same[share == 0], True)
    core = share == 1
    ratio = ill.maps.adc_um2_s[core] / healthy.maps.adc_um2_s[core]
    np.testing.assert_allclose(ratio, 0.54, rtol=1e-4)


def test_what_cannot_be_asked_for_is_refused(tissues: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="lesion is one of"):
        make_head(tissues, seed=0, lesion="abscess")
    with pytest.raises(ValueError, match="holds no brain"):
        make_head(np.zeros((8, 8, 8), np.uint8), seed=0)
    with pytest.raises(ValueError, match="artery is one of"):
        make_head(tissues, seed=0, lesion="infarct", artery="ICA")
