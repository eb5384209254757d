from __future__ import annotations

import pytest
import torch
from torch import Tensor

from isocenter.core.errors import InputRefused
from isocenter.training.generator.penalties import (
    BodyAndLung,
    air_outside_penalty,
    hu_range_penalty,
    organ_shape_penalty,
    reached_from_edge,
)


def disc(center: tuple[float, float], radius: tuple[float, float], size: int = 48) -> Tensor:
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    place = ((row - center[0]) / radius[0]) ** 2 + ((column - center[1]) / radius[1]) ** 2
    return place <= 1


BODY = disc((24, 24), (14, 20))
LUNG = disc((24, 14), (8, 5)) | disc((24, 34), (8, 5))


def trunk() -> Tensor:
    """(1, 1, row, column) HU: an ellipse of tissue with two lungs, in air."""
    image = torch.full((48, 48), -1000.0)
    image[BODY] = 40.0
    image[LUNG] = -830.0
    return image[None, None]


def wished() -> Tensor:
    return torch.stack([BODY, LUNG])[None].float()


def test_values_in_range_cost_nothing_and_others_their_square() -> None:
    assert hu_range_penalty(trunk()).tolist() == [0]
    image = torch.zeros(2, 1, 2, 2)
    image[1, 0, 0, 0] = -1124.0
    image[1, 0, 1, 1] = 3271.0
    assert hu_range_penalty(image).tolist() == pytest.approx([0, (1 + 4) / 4])


def test_air_around_the_body_costs_nothing_and_something_there_does() -> None:
    body = BODY[None, None].float()
    noisy = trunk() + 50 * (torch.rand(1, 1, 48, 48) - 0.5)
    assert air_outside_penalty(noisy, body).tolist() == [0]
    image = trunk()
    image[..., :3, :3] = 0.0
    outside = (1 - body).sum().item()
    each = 2 * (2 * 9.4 - 2)  # 940 HU beyond the tolerance, linear from 200
    assert air_outside_penalty(image, body).item() == pytest.approx(9 * each / outside, rel=1e-5)
    assert air_outside_penalty(image, torch.ones_like(body)).item() == 0


def test_the_segmenter_finds_body_and_lung() -> None:
    found = BodyAndLung()(trunk())
    for mask, true in zip(found[0], (BODY, LUNG), strict=True):
        dice = 2 * (mask * true).sum() / (mask.sum() + true.sum())
        assert dice > 0.97


def test_what_a_ring_holds_is_not_reached_until_it_is_opened() -> None:
    ring = disc((24, 24), (20, 20)) & ~disc((24, 24), (16, 16))
    assert torch.equal(reached_from_edge(~ring), ~disc((24, 24), (20, 20)))
    opened = ring.clone()
    opened[:24, 24] = False
    both = reached_from_edge(torch.stack([~opened, ~ring])[:, None])
    assert torch.equal(both[0, 0], ~opened)
    assert torch.equal(both[1, 0], ~disc((24, 24), (20, 20)))


def test_a_way_around_corners_is_found() -> None:
    walls = torch.ones(12, 12, dtype=torch.bool)
    way = [(0, 2), (1, 2), (2, 2), (2, 3), (2, 4), (3, 4), (4, 4), (4, 3), (5, 3)]
    for place in [*way, (7, 7), (6, 4)]:  # the last touches the way by a corner alone
        walls[place] = False
    assert sorted(map(tuple, reached_from_edge(~walls).nonzero().tolist())) == sorted(way)


def test_organs_in_their_places_cost_little_and_elsewhere_more() -> None:
    segmenter = BodyAndLung()
    there = organ_shape_penalty(trunk(), wished(), segmenter).item()
    shifted = organ_shape_penalty(trunk(), wished().roll(6, dims=-1), segmenter).item()
    without = wished()
    without[:, 1] = 0
    assert there < 0.03
    assert shifted > 0.2
    assert organ_shape_penalty(trunk(), without, segmenter).item() > 0.4
    air = torch.full((1, 1, 48, 48), -1000.0)
    assert organ_shape_penalty(air, torch.zeros(1, 2, 48, 48), segmenter).item() < 0.01


def test_a_gradient_leads_from_a_broken_image_towards_the_wished_one() -> None:
    image = trunk()
    image[..., :4, :] = -300.0  # something above the body
    image[..., 30:, :] = -1300.0  # and values that are none
    image[..., LUNG] = -560.0  # lungs that are nearly tissue
    body = BODY[None, None].float()

    def costs(values: Tensor) -> Tensor:
        shape = organ_shape_penalty(values, wished(), BodyAndLung())
        return torch.cat([hu_range_penalty(values), air_outside_penalty(values, body), shape])

    before = costs(image)
    for _ in range(30):
        image.requires_grad_(True)
        (gradient,) = torch.autograd.grad(costs(image).sum(), image)
        assert torch.isfinite(gradient).all()
        image = image.detach() - 30 * gradient.sign()
    assert (before > torch.tensor([0.1, 1.0, 0.3])).all()
    assert (costs(image) < 0.5 * before).all()


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputRefused, match="shape of the image"):
        air_outside_penalty(trunk(), torch.ones(1, 1, 4, 4))
    with pytest.raises(InputRefused, match="as many organs"):
        organ_shape_penalty(trunk(), wished()[:, :1], BodyAndLung())
