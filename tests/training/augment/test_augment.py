"""Drawn, written down, applied and rebuilt; identities; and what follows the geometry."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from isocenter.core.errors import InputRefused
from isocenter.training.augment.draw import (
    AugmentSettings,
    applied,
    applied_to_batch,
    drawn,
    geometric,
)
from isocenter.training.augment.geometry import MOST_BEND, Geometry
from isocenter.training.augment.intensity import (
    BiasField,
    Contrast,
    Gamma,
    Noise,
    bias_gain,
    orders,
)
from isocenter.training.augment.sample import (
    HOUNSFIELD,
    NETWORK,
    Sample,
    Values,
    box_of_fractions,
    fractions_of_box,
)

ALL = AugmentSettings(
    bend_share=1,
    mirror_share=0.5,
    mirror_swaps=((1, 2),),
    gamma_share=1,
    contrast_share=1,
    bias_share=1,
    noise_share=1,
)
SPACES = [(24, 32), (16, 24, 20)]


def ball(space: tuple[int, ...], center: tuple[float, ...], radius: float) -> Tensor:
    places = torch.meshgrid(*[torch.arange(n) for n in space], indexing="ij")
    away = torch.stack([(p - c) ** 2 for p, c in zip(places, center, strict=True)])
    return away.sum(dim=0) <= radius**2


def sample(space: tuple[int, ...] = (24, 32), *, values: Values = NETWORK) -> Sample:
    """Something of two labels in the middle of what is empty, with a box around each."""
    axes = len(space)
    middle = [n / 2 for n in space]
    first = ball(space, (*middle[:-1], space[-1] * 0.3), min(space) / 8)
    second = ball(space, (*middle[:-1], space[-1] * 0.66), min(space) / 10)
    labels = first.int() + 2 * second.int()
    generator = torch.Generator().manual_seed(1)
    noise = 0.1 * torch.rand(space, generator=generator)
    level = (labels > 0) * (0.4 + noise) * (values.high - values.low) * 0.5
    boxes = [
        [[int(edge.min()), int(edge.max()) + 1] for edge in torch.where(mask)]
        for mask in (first, second)
    ]
    assert torch.tensor(boxes).shape == (2, axes, 2)
    return Sample(
        image=(values.empty + level)[None].float(),
        labels=labels,
        boxes=torch.tensor(boxes, dtype=torch.float32),
    )


def rng(number: int = 0) -> np.random.Generator:
    return np.random.default_rng(number)


def same(first: Sample, second: Sample) -> bool:
    assert first.labels is not None
    assert second.labels is not None
    return (
        torch.equal(first.image, second.image)
        and torch.equal(first.labels, second.labels)
        and torch.equal(first.boxes.nan_to_num(-1), second.boxes.nan_to_num(-1))
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("number", range(4))
def test_a_record_gives_the_same_pixels_again(space: tuple[int, ...], number: int) -> None:
    record = drawn(ALL, rng(number), axes=len(space))
    read = json.loads(json.dumps(record, allow_nan=False))
    assert read == record
    once = applied(record, sample(space), NETWORK)
    assert same(applied(read, sample(space), NETWORK), once)
    assert not torch.equal(once.image, sample(space).image)


def test_a_generator_draws_one_record_and_another_draws_another() -> None:
    assert drawn(ALL, rng(1), axes=2) == drawn(ALL, rng(1), axes=2)
    assert drawn(ALL, rng(1), axes=2) != drawn(ALL, rng(2), axes=2)


def test_a_share_leaves_the_other_parameters_as_they_were() -> None:
    without = drawn(replace(ALL, gamma_share=0), rng(3), axes=2)
    whole = drawn(ALL, rng(3), axes=2)
    assert "gamma" not in without
    assert {name: value for name, value in whole.items() if name != "gamma"} == without


def test_a_batch_is_changed_image_by_image() -> None:
    records = [drawn(ALL, rng(k), axes=2) for k in range(3)]
    batch = applied_to_batch(records, [sample()] * 3, NETWORK)
    assert all(
        same(one, applied(record, sample(), NETWORK))
        for one, record in zip(batch, records, strict=True)
    )


@pytest.mark.parametrize("space", SPACES)
def test_parameters_of_no_change_change_no_bit(space: tuple[int, ...]) -> None:
    still = AugmentSettings(
        scale=(1, 1),
        stretch=(1, 1),
        rotation_deg=0,
        shift=0,
        bend=0,
        gamma=(1, 1),
        contrast=(1, 1),
        brightness=0,
        bias=0,
        gamma_share=1,
        contrast_share=1,
        bias_share=1,
        noise_share=0,
    )
    before = sample(space)
    after = applied(drawn(still, rng(), axes=len(space)), before, NETWORK)
    assert same(before, after)
    for one in (Geometry(), BiasField(), Gamma(), Contrast(), Noise()):
        assert same(one(before, NETWORK), before)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("number", range(6))
def test_a_box_still_holds_what_it_held(space: tuple[int, ...], number: int) -> None:
    record = drawn(replace(ALL, mirror_share=0, bend=0.3), rng(number), axes=len(space))
    moved = applied(record, sample(space), NETWORK)
    assert moved.labels is not None
    for label, box in zip((1, 2), moved.boxes, strict=True):
        for axis, places in enumerate(torch.where(moved.labels == label)):
            assert box[axis, 0] <= places.min()
            assert places.max() + 1 <= box[axis, 1]
    assert (moved.boxes[..., 1] - moved.boxes[..., 0]).max() < 0.8 * max(space)


@pytest.mark.parametrize("space", SPACES)
def test_moved_hu_keep_air_at_air_and_labels_at_their_numbers(space: tuple[int, ...]) -> None:
    before = sample(space, values=HOUNSFIELD)
    for number in range(4):
        record = drawn(geometric(shift=0.2, bend_share=1), rng(number), axes=len(space))
        moved = applied(record, before, HOUNSFIELD)
        assert moved.labels is not None
        corner = moved.image[(0, *[0] * len(space))]
        assert corner.item() == HOUNSFIELD.empty
        assert moved.image.min().item() == HOUNSFIELD.empty
        assert moved.image.max() <= before.image.max()
        assert set(moved.labels.unique().tolist()) <= {0, 1, 2}
        assert moved.labels.dtype == before.labels.dtype  # type: ignore[union-attr]
        assert set(record) == {"version", "geometry"}


def test_a_quarter_turn_and_a_whole_shift_are_those_of_the_array() -> None:
    image = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(2))
    turned = Geometry(angles_deg=(90.0,))(Sample(image=image), NETWORK).image
    assert torch.allclose(turned, torch.rot90(image, 1, (1, 2)), atol=1e-5)
    shifted = Geometry(shift=(1 / 9, 0.0))(Sample(image=image), NETWORK).image
    assert torch.allclose(shifted[:, 1:], image[:, :-1], atol=1e-5)
    assert (shifted[:, 0] == -1).all()


def test_twice_the_size_is_four_times_the_area() -> None:
    space = (64, 64)
    disc = Sample(image=torch.zeros(1, *space), labels=ball(space, (31.5, 31.5), 12).long())
    larger = Geometry(scale=(1.5, 1.2))(disc, NETWORK)
    assert larger.labels is not None
    assert disc.labels is not None
    assert larger.labels.sum() / disc.labels.sum() == pytest.approx(1.8, rel=0.03)


def test_a_rotation_is_one_in_millimeters() -> None:
    """Of slices five times as thick as voxels are wide, a turned ball stays a ball."""
    space, spacing = (9, 45, 45), (5.0, 1.0, 1.0)
    places = torch.meshgrid(*[torch.arange(n) for n in space], indexing="ij")
    away = sum(
        ((p - (n - 1) / 2) * mm) ** 2 for p, n, mm in zip(places, space, spacing, strict=True)
    )
    image = torch.exp(-torch.as_tensor(away) / 150)[None].float()
    turned = Geometry(angles_deg=(0.0, 20.0, 0.0))(
        Sample(image=image, spacing_mm=spacing), Values(low=0, high=1, empty=0)
    ).image
    assert (turned - image).abs().max() < 0.06
    as_cubes = Geometry(angles_deg=(0.0, 20.0, 0.0))(
        Sample(image=image), Values(low=0, high=1, empty=0)
    ).image
    assert (as_cubes - image).abs().max() > 0.2


@settings(max_examples=8, deadline=None)
@given(number=st.integers(0, 10_000))
def test_the_strongest_bend_folds_nothing(number: int) -> None:
    bend = MOST_BEND * rng(number).choice([-1.0, 1.0], (2, 5, 5))
    moved = Geometry(bend=bend.tolist()).sources(Sample(image=torch.zeros(1, 40, 40)))
    down, across = (torch.gradient(moved[axis], dim=(0, 1)) for axis in (0, 1))
    determinant = down[0] * across[1] - down[1] * across[0]
    assert determinant.min() > 0


def test_a_mirror_swaps_sides_and_twice_is_the_image_again() -> None:
    mirror = Geometry(mirrored=True, swapped=((1, 2),))
    before = sample()
    once = mirror(before, NETWORK)
    assert torch.equal(once.image, before.image.flip(-1))
    assert once.labels is not None
    assert before.labels is not None
    assert torch.equal(once.labels == 2, (before.labels == 1).flip(-1))
    assert same(mirror(once, NETWORK), before)
    assert once.boxes[0, 1].tolist() == (32 - before.boxes[0, 1].flip(0)).tolist()


def test_nothing_is_mirrored_unless_it_is_asked() -> None:
    assert not any(
        drawn(AugmentSettings(), rng(k), axes=2)["geometry"]["mirrored"] for k in range(50)
    )


def test_a_box_that_leaves_the_image_is_no_number() -> None:
    moved = Geometry(shift=(0.0, 0.9))(sample(), NETWORK)
    assert moved.boxes.isnan().all()


@pytest.mark.parametrize("number", range(3))
def test_gray_levels_change_and_places_and_emptiness_stay(number: int) -> None:
    before = sample()
    record = drawn(ALL, rng(number), axes=2)
    del record["geometry"]
    after = applied(record, before, NETWORK)
    assert after.labels is before.labels
    assert after.boxes is before.boxes
    empty = before.image == NETWORK.empty
    assert (after.image[empty] == NETWORK.empty).all()
    assert not torch.equal(after.image, before.image)
    assert after.image.min() >= -1
    assert after.image.max() <= 1


def test_gamma_is_a_power_of_the_level() -> None:
    image = torch.tensor([[[-1.0, 0.0, 1.0]]])
    found = Gamma(gamma=2.0)(Sample(image=image), NETWORK).image
    assert found.flatten().tolist() == pytest.approx([-1, 2 * 0.25 - 1, 1])


def test_contrast_turns_about_the_middle_and_light_is_added() -> None:
    image = torch.tensor([[[-0.5, 0.0, 0.9]]])
    found = Contrast(gain=1.2, offset=0.05)(Sample(image=image), NETWORK).image
    assert found.flatten().tolist() == pytest.approx([-0.5, 0.1, 1.0])


def test_noise_has_its_level_and_its_seed() -> None:
    image = torch.zeros(1, 64, 64)
    first = Noise(level=0.01, seed=5)(Sample(image=image), NETWORK).image
    assert first.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.equal(Noise(level=0.01, seed=5)(Sample(image=image), NETWORK).image, first)
    assert not torch.equal(Noise(level=0.01, seed=6)(Sample(image=image), NETWORK).image, first)


def test_a_bias_field_is_the_exponential_of_its_polynomial() -> None:
    assert list(orders(2, 1)) == [(0, 1), (1, 0)]
    gain = bias_gain((0.3, 0.0), 1, (3, 5))
    assert gain[0].tolist() == pytest.approx([math.exp(0.3 * x) for x in (-1, -0.5, 0, 0.5, 1)])
    assert torch.equal(gain[0], gain[2])
    with pytest.raises(ValueError, match="has 5 strengths, got 1"):
        bias_gain((0.3,), 2, (3, 5))


def test_fractions_and_edges_of_a_box_agree() -> None:
    edges = box_of_fractions((0.5, 0.25, 0.2, 0.1), 40, 50)
    assert edges == [[pytest.approx(8), pytest.approx(12)], [pytest.approx(20), pytest.approx(30)]]
    assert fractions_of_box(edges, 40, 50) == pytest.approx((0.5, 0.25, 0.2, 0.1))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image": torch.zeros(4, 4)}, "an image to augment is"),
        ({"image": torch.zeros(1, 4, 4, dtype=torch.int32)}, "of floating numbers"),
        ({"labels": torch.zeros(4, 4)}, "labels are whole numbers"),
        ({"labels": torch.zeros(1, 4, dtype=torch.int32)}, "on the grid of the image"),
        ({"boxes": torch.zeros(1, 4)}, r"boxes are \(box, 2, 2\)"),
        ({"spacing_mm": (1.0, 0.0)}, "above 0 along each of 2 axes"),
    ],
)
def test_what_cannot_be_augmented_is_refused(wrong: dict, said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        Sample(**{"image": torch.zeros(1, 4, 4)} | wrong)


def test_a_record_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputRefused, match="got version 7 and nothing else"):
        applied({"version": 7}, sample(), NETWORK)
    with pytest.raises(InputRefused, match="got version 1 and sharpen"):
        applied({"version": 1, "sharpen": {}}, sample(), NETWORK)
    with pytest.raises(InputRefused, match="the record of gamma has gamma"):
        applied({"version": 1, "gamma": {"power": 2}}, sample(), NETWORK)
    with pytest.raises(InputRefused, match="drawn for another number"):
        applied(drawn(ALL, rng(), axes=3), sample(), NETWORK)
    with pytest.raises(InputRefused, match="2 or 3 axes"):
        drawn(ALL, rng(), axes=4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bend": 0.5}, "nothing folds"),
        ({"gamma": (0.0, 1.0)}, "gamma is a rising range"),
        ({"noise_share": 1.5}, "noise_share is a share"),
        ({"bend_points": 3}, "bend_points is at least 4"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AugmentSettings(**wrong)
    with pytest.raises(ValueError, match="nothing folds"):
        Geometry(bend=[[[0.5]]])
    with pytest.raises(ValueError, match="scale is above 0"):
        Geometry(scale=(0.0, 1.0))
