from __future__ import annotations

import pytest
import torch

from isocenter.training.judges.alteration import AlterationSettings, altered, drawn_alteration

NOTHING = AlterationSettings(
    zoom=0,
    shift=0,
    turn_deg=0,
    bend=0,
    mirror=0,
    contrast=0,
    brightness=0,
    gamma=1,
    noise=0,
    blur=0,
)


def smooth_images() -> torch.Tensor:
    rows, columns = torch.meshgrid(
        torch.linspace(0, 3, 32), torch.linspace(0, 2, 32), indexing="ij"
    )
    return torch.stack([torch.sin(rows + columns), torch.cos(rows * columns)])[:, None] * 0.8


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_settings_of_nothing_change_nothing() -> None:
    images = smooth_images()
    found = altered(images, drawn_alteration(2, NOTHING, generator()))
    assert found == pytest.approx(images, abs=1e-4)


def test_a_mirror_exchanges_left_and_right() -> None:
    images = smooth_images()
    only_mirror = AlterationSettings(**{**vars(NOTHING), "mirror": 1.0})
    found = altered(images, drawn_alteration(2, only_mirror, generator()))
    assert found == pytest.approx(images.flip(3), abs=1e-4)


def test_what_was_drawn_can_be_applied_again() -> None:
    drawn = drawn_alteration(2, AlterationSettings(), generator(3))
    images = smooth_images()
    assert torch.equal(altered(images, drawn), altered(images, drawn))
    other = drawn_alteration(2, AlterationSettings(), generator(4))
    assert not torch.equal(altered(images, drawn), altered(images, other))


def test_each_image_is_altered_in_its_own_way_and_stays_in_range() -> None:
    same = smooth_images()[:1].repeat(6, 1, 1, 1)
    strong = AlterationSettings(contrast=1, brightness=1, noise=0.5)
    found = altered(same, drawn_alteration(6, strong, generator()))
    assert found.abs().max() <= 1
    assert len({tuple(one.flatten().tolist()) for one in found}) == 6


@pytest.mark.parametrize("setting", [{"zoom": 2.0}, {"gamma": 0.5}, {"noise": -1.0}])
def test_settings_that_make_no_sense_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        AlterationSettings(**setting)
