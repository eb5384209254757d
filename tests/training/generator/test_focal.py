from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.errors import InputRefused
from isocenter.training.generator.focal import box_weights, focal_weights, mask_weights


@pytest.mark.parametrize("shape", [(6,), (4, 1, 5, 5)])
def test_what_is_wrong_weighs_more_and_the_mean_is_one(shape: tuple[int, ...]) -> None:
    losses = torch.rand(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = focal_weights(losses, focus=1.5)
    assert weights.mean().item() == pytest.approx(1, abs=1e-6)
    assert not weights.requires_grad
    order = losses.flatten().argsort()
    assert (weights.flatten()[order].diff() >= 0).all()


def test_without_focus_or_difference_all_weigh_one() -> None:
    assert focal_weights(torch.rand(4), focus=0).tolist() == [1, 1, 1, 1]
    assert focal_weights(torch.full((3,), 0.2), focus=2).tolist() == pytest.approx([1, 1, 1])
    assert focal_weights(torch.zeros(3), focus=2).tolist() == [1, 1, 1]


def test_weights_do_not_change_with_the_unit_of_the_loss() -> None:
    losses = torch.tensor([0.1, 0.5, 3.0])
    assert torch.allclose(focal_weights(losses, focus=2), focal_weights(1e3 * losses, focus=2))


def test_a_weight_is_what_the_formula_says() -> None:
    weights = focal_weights(torch.tensor([1.0, 3.0]), focus=2)
    first, second = ((1 - math.exp(-loss / 2)) ** 2 for loss in (1, 3))
    assert (weights[1] / weights[0]).item() == pytest.approx(second / first, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(0.1, 0.9),
    y=st.floats(0.1, 0.9),
    width=st.floats(0.01, 0.2),
    height=st.floats(0.01, 0.2),
)
def test_a_box_covers_its_own_area_of_the_grid(
    x: float, y: float, width: float, height: float
) -> None:
    weights = box_weights(torch.tensor([[x, y, width, height]]), (7, 9), inside=5.0)
    assert weights.mean().item() == pytest.approx(1, abs=1e-5)
    outside = weights.min().item()
    covered = (weights / outside - 1).sum().item() / 4 / 63
    assert covered == pytest.approx(width * height, rel=1e-2, abs=1e-5)


def test_a_box_weighs_where_it_is_and_an_image_without_one_is_even() -> None:
    none = [math.nan] * 4
    weights = box_weights(torch.tensor([[0.75, 0.25, 0.5, 0.5], none]), (4, 8), inside=3.0)
    assert weights.shape == (2, 1, 4, 8)
    assert torch.equal(weights[0, 0, :2, 4:] / weights[0, 0, 3, 0], torch.full((2, 4), 3.0))
    assert torch.equal(weights[1], torch.ones(1, 4, 8))


@pytest.mark.parametrize("space", [(8, 8), (4, 8, 8)])
def test_a_mask_weighs_where_it_is(space: tuple[int, ...]) -> None:
    mask = torch.zeros(2, 1, *space, dtype=torch.uint8)
    mask[0, ..., :4] = 2
    coarse = tuple(size // 2 for size in space)
    weights = mask_weights(mask, coarse, inside=3.0)
    assert weights.shape == (2, 1, *coarse)
    assert weights[0, ..., 0].unique().tolist() == pytest.approx([1.5])
    assert weights[0, ..., -1].unique().tolist() == pytest.approx([0.5])
    assert torch.equal(weights[1], torch.ones(1, *coarse))


def test_what_gives_no_weights_is_refused() -> None:
    with pytest.raises(InputRefused, match="center x, center y"):
        box_weights(torch.zeros(2, 3), (4, 4), inside=2)
    with pytest.raises(InputRefused, match="no coarser than the grid"):
        mask_weights(torch.zeros(1, 1, 4, 4), (8, 8), inside=2)
