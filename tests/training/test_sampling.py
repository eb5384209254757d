from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.errors import InputRefused
from isocenter.training import sampling
from isocenter.training.sampling import (
    BalancedOrder,
    Labels,
    balanced_shares,
    lesion_crop,
    places_of_share,
)

# 90 images of one hospital, 10 of another, which has only the rare class.
LABELS: list[Labels] = [
    (hospital, kind)
    for hospital, kind, count in (("a", "common", 80), ("a", "rare", 10), ("b", "rare", 10))
    for _ in range(count)
]


def order(seed: int = 1) -> BalancedOrder:
    return BalancedOrder(LABELS, balanced_shares(LABELS), seed=seed)


def test_shares_are_even_level_by_level() -> None:
    assert balanced_shares(LABELS) == pytest.approx(
        {("a", "common"): 0.25, ("a", "rare"): 0.25, ("b", "rare"): 0.5}
    )


def test_without_evenness_shares_are_those_of_the_images() -> None:
    shares = balanced_shares(LABELS, evenness=(0, 0))
    assert list(shares.values()) == pytest.approx([0.8, 0.1, 0.1])
    half = balanced_shares([("x",)] * 16 + [("y",)] * 4, evenness=(0.5,))
    assert half == pytest.approx({("x",): 2 / 3, ("y",): 1 / 3})


def test_every_group_keeps_its_share_all_the_way() -> None:
    drawn = order().numbers(0, 4000)
    for count in (64, 640, 4000):
        groups = Counter(LABELS[number] for number in drawn[:count])
        for group, share in balanced_shares(LABELS).items():
            assert abs(groups[group] - share * count) <= 2 * 16 + 1
    assert {Counter(LABELS[k] for k in drawn[b : b + 64])[("b", "rare")] for b in (0, 64, 640)} == {
        32
    }


def test_all_images_of_a_group_come_before_one_comes_again() -> None:
    drawn = [number for number in order().numbers(0, 400) if number >= 90]
    for begin in range(0, len(drawn) - 10, 10):
        assert sorted(drawn[begin : begin + 10]) == list(range(90, 100))
    assert drawn[:10] != drawn[10:20]


@settings(max_examples=20, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    evenness=st.floats(0, 1),
    start=st.integers(0, 3000),
)
def test_an_order_can_be_entered_anywhere(counts: list[int], evenness: float, start: int) -> None:
    labels = [(str(group),) for group, count in enumerate(counts) for _ in range(count)]
    shares = balanced_shares(labels, evenness=(evenness,))
    whole = BalancedOrder(labels, shares, seed=3).numbers(start, 40)
    again = BalancedOrder(labels, shares, seed=3)
    assert [again(start + 39 - k) for k in range(40)] == whole[::-1]
    assert set(whole) <= set(range(len(labels)))


def test_another_seed_gives_another_order() -> None:
    assert order(1).numbers(0, 20) != order(2).numbers(0, 20)


def test_processes_draw_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [list(places_of_share(step, 6)) for step in range(3)]
    assert alone == [list(range(6 * step, 6 * step + 6)) for step in range(3)]
    monkeypatch.setattr(sampling, "num_processes", lambda: 3)
    shared: list[list[int]] = [[] for _ in range(3)]
    for process in range(3):
        monkeypatch.setattr(sampling, "process_number", lambda process=process: process)
        for step in range(3):
            shared[step] += places_of_share(step, 6)
    assert shared == alone
    with pytest.raises(InputRefused, match="3 processes cannot share a batch of 4"):
        places_of_share(0, 4)


def test_shares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputRefused, match="same number of labels"):
        balanced_shares([("a",), ("a", "b")])
    with pytest.raises(InputRefused, match="1 groups have none"):
        BalancedOrder([("a",), ("b",)], {("a",): 1.0}, seed=0)
    with pytest.raises(InputRefused, match="too small to keep"):
        BalancedOrder([("a",), ("b",)], {("a",): 1 - 1e-9, ("b",): 1e-9}, seed=0)


@pytest.mark.parametrize(
    ("shape", "box", "size"),
    [
        ((40, 50), [[3, 9], [30, 41]], (16, 16)),
        ((40, 50), [[0, 5], [30, 41]], (16, 16)),
        ((12, 40, 50), [[2, 7], [10, 20], [20, 30]], (8, 16, 16)),
    ],
)
def test_a_crop_around_a_lesion_holds_all_of_it(
    shape: tuple[int, ...], box: list[list[float]], size: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(60):
        crop = lesion_crop(shape, np.array([box]), size, rng, share=1.0)
        seen = crop.boxes(np.array([box]))[0]
        assert np.array_equal(seen[:, 1] - seen[:, 0], np.diff(box)[:, 0])
        assert np.zeros(shape)[crop.slices].shape == size
        assert crop.box == 0
        starts.add(crop.start)
    assert len(starts) > 3


def test_a_lesion_larger_than_the_crop_fills_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        crop = lesion_crop((40, 40), np.array([[[5, 35], [5, 35]]]), (16, 16), rng, share=1.0)
        assert np.array_equal(crop.boxes(np.array([[[5, 35], [5, 35]]]))[0], [[0, 16], [0, 16]])


def test_a_margin_is_kept_where_there_is_room() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        box = np.array([[[20, 24], [20, 30]]])
        seen = lesion_crop((64, 64), box, (16, 16), rng, share=1.0, margin=4).boxes(box)[0]
        assert seen[0, 0] >= 4
        assert seen[0, 1] <= 12
        assert seen[1, 0] >= 3


def test_the_share_of_crops_around_lesions_is_kept() -> None:
    rng = np.random.default_rng(3)
    box = np.array([[[1, 3], [1, 3]]])
    crops = [lesion_crop((64, 64), box, (16, 16), rng, share=0.6) for _ in range(400)]
    assert sum(crop.box == 0 for crop in crops) / 400 == pytest.approx(0.6, abs=0.08)
    without = lesion_crop((64, 64), np.zeros((0, 2, 2)), (16, 16), rng, share=1.0)
    assert without.box is None
    far = lesion_crop((64, 64), box + 40, (4, 4), rng, share=1.0)
    assert np.isnan(far.boxes(box)).all()


def test_a_crop_or_a_box_outside_the_image_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputRefused, match="does not fit in"):
        lesion_crop((8, 8), np.zeros((0, 2, 2)), (9, 8), rng, share=0.5)
    with pytest.raises(InputRefused, match="its edges rise"):
        lesion_crop((8, 8), np.array([[[2, 1], [0, 3]]]), (4, 4), rng, share=0.5)
