from __future__ import annotations

import math

import pytest
import torch

from isocenter.training.generator.focal import focal_weights, region_weights


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


@pytest.mark.parametrize("space", [(4, 8), (2, 4, 8)])
def test_a_region_weighs_where_it_is_and_an_image_without_one_is_even(
    space: tuple[int, ...],
) -> None:
    covered = torch.zeros(2, 1, *space)
    covered[0, ..., :4] = 1
    weights = region_weights(covered, inside=3.0)
    assert weights[0, ..., 0].unique().tolist() == pytest.approx([1.5])
    assert weights[0, ..., -1].unique().tolist() == pytest.approx([0.5])
    assert torch.equal(weights[1], torch.ones(1, *space))


def test_half_a_cell_weighs_half_as_much_more() -> None:
    weights = region_weights(torch.tensor([[[0.0, 0.5, 1.0]]]), inside=5.0)
    assert (weights / weights[0, 0, 0]).flatten().tolist() == pytest.approx([1, 3, 5])
