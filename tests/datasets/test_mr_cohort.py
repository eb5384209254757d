"""Heads to learn from: made once, the same whoever asks, apart by label map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.core.errors import InputRefused
from isocenter.datasets import label_maps
from isocenter.datasets.label_maps import made_up_maps
from isocenter.datasets.mr_cohort import CohortSettings, MrCohort
from isocenter.physics.phantom.analytic_head import analytic_head
from isocenter.physics.phantom.choices import LESION_NAMES

TINY = CohortSettings(
    heads=40,
    size=32,
    pixel_mm=(3.5, 3.5),
    slice_mm=(15.0, 15.0),
    lesion_shares=(0.0, 0.0, 0.0, 1.0),
    contrasts=("T1", "FLAIR", "ADC"),
)


@pytest.fixture(autouse=True)
def small_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(rng: np.random.Generator) -> NDArray[np.uint8]:
        return analytic_head(rng, scale=0.5)

    monkeypatch.setattr(label_maps, "analytic_head", small)


def test_a_head_holds_contrasts_masks_and_truth(tmp_path: Path) -> None:
    head = MrCohort(made_up_maps(2), TINY, tmp_path)[3]
    assert head.contrasts == ("T1", "FLAIR", "ADC")
    assert head.values("T1").shape == (len(head), 32, 32) == head.brain().shape
    one = int(head.lesion_slices()[0])
    assert set(np.unique(head.lesions(one))) <= {0, LESION_NAMES.index("infarct") + 1}
    assert head.values("FLAIR", one).shape == (32, 32)
    inside = head.brain(one) & (head.tissues(one) == 1) & (head.lesions(one) == 0)
    assert 600 < np.median(head.adc_um2_s(one)[inside]) < 900
    assert head.facts["head"]["lesion"] == "infarct"
    with pytest.raises(ValueError, match="contrasts are"):
        head.values("PD")


def test_a_head_is_made_once_and_the_same_in_any_cohort_of_the_seed(tmp_path: Path) -> None:
    cohort = MrCohort(made_up_maps(2), TINY, tmp_path / "a")
    first = cohort[1].values("T1")
    made = sorted((tmp_path / "a").glob("head-*"))
    np.testing.assert_array_equal(cohort[1].values("T1"), first)
    assert sorted((tmp_path / "a").glob("head-*")) == made
    fewer = CohortSettings(**{**TINY.__dict__, "heads": 2})
    again = MrCohort(made_up_maps(2), fewer, tmp_path / "b")[1]
    np.testing.assert_array_equal(again.values("T1"), first)
    other = CohortSettings(**{**TINY.__dict__, "seed": 1})
    assert (MrCohort(made_up_maps(2), other, tmp_path / "a")[1].values("T1") != first).any()


def test_heads_of_one_map_belong_to_one_part(tmp_path: Path) -> None:
    cohort = MrCohort(made_up_maps(17), TINY, tmp_path)
    parts = {part: cohort.numbers_of(part) for part in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) + len(cohort.numbers_of("calibration")) == 40
    for part, numbers in parts.items():
        assert all(cohort.part_of(number + 17) == part for number in numbers)
    assert not list(tmp_path.iterdir())  # nothing is made for that


def test_a_cohort_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="at least one label map"):
        MrCohort([], TINY, tmp_path)
    with pytest.raises(ValueError, match="contrasts are"):
        CohortSettings(contrasts=("CT",))
    with pytest.raises(ValueError, match="shares of lesions"):
        CohortSettings(lesion_shares=(0, 0, 0, 0))
    with pytest.raises(IndexError, match="from 0 to 39"):
        MrCohort(made_up_maps(1), TINY, tmp_path)[40]
