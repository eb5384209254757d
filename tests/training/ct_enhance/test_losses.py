from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from isocenter.modelpack.ct_enhance.mean import MeanAndSpread
from isocenter.training.ct_enhance.losses import (
    LossSettings,
    body_weight,
    gain_db,
    mean_loss,
    noise_unit,
    pinball,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def estimate(
    mean: Tensor, *, spread: float, level: float = 20.0, anatomy: Tensor | None = None
) -> MeanAndSpread:
    flat = torch.ones_like(mean)
    return MeanAndSpread(
        anatomy=mean if anatomy is None else anatomy,
        mean=mean,
        below=spread * flat,
        above=spread * flat,
        noise=spread * flat,
        level=level * flat,
        log_bands=torch.zeros(len(mean), 4, 1, 1),
    )


def losses_of(
    found: MeanAndSpread,
    target: Tensor,
    *,
    anatomy: Tensor | None = None,
    lesion: Tensor | None = None,
    is_clean: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Of pairs that are all clean or all not; the anatomy is the target where absent."""
    return mean_loss(
        found,
        target,
        anatomy=target if anatomy is None else anatomy,
        lesion=torch.zeros_like(target) if lesion is None else lesion,
        is_clean=torch.full((len(target),), is_clean),
    )


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.95])
def test_pinball_is_least_at_the_quantile(quantile: float) -> None:
    truth = drawn(20_000).sort().values
    guesses = torch.linspace(-2.5, 2.5, 101)
    losses = torch.stack([pinball(truth - guess, quantile).mean() for guess in guesses])
    best = guesses[losses.argmin()].item()
    assert best == pytest.approx(truth[int(quantile * len(truth))].item(), abs=0.06)


def test_air_around_the_patient_hardly_counts() -> None:
    target = torch.full((1, 1, 64, 64), -1000.0)
    target[..., 32:] = 40.0
    weight = body_weight(target)
    assert (weight[..., 45:] == 1).all()
    assert torch.allclose(weight[..., :20], torch.tensor(0.05))


@pytest.mark.parametrize("is_clean", [0.0, 1.0])
def test_the_loss_of_the_mean_is_least_at_the_truth(is_clean: float) -> None:
    target = 40 + drawn(2, 1, 32, 32)
    losses = [
        losses_of(estimate(target + shift, spread=10.0), target, is_clean=is_clean)[0].item()
        for shift in (-5.0, 0.0, 5.0)
    ]
    assert losses[1] == 0
    assert losses[0] == pytest.approx(losses[2]) == pytest.approx((5 / 20) ** 2)


def test_clean_pairs_judge_the_anatomy_and_others_the_mean() -> None:
    """The anatomy is 2 HU off, the mean 4."""
    anatomy = 40 + drawn(2, 1, 32, 32)
    target = anatomy + 10 * drawn(2, 1, 32, 32, seed=1)
    found = estimate(target + 4, spread=10.0, anatomy=anatomy + 2)
    nothing = torch.zeros_like(target)
    squared = {
        clean: mean_loss(
            found, target, anatomy=anatomy, lesion=nothing, is_clean=torch.tensor(clean)
        )[0].item()
        for clean in ((1.0, 1.0), (0.0, 0.0), (1.0, 0.0))
    }
    assert squared[1.0, 1.0] == pytest.approx((2 / 20) ** 2, rel=1e-4)
    assert squared[0.0, 0.0] == pytest.approx((4 / 20) ** 2, rel=1e-4)
    assert squared[1.0, 0.0] == pytest.approx((2**2 + 4**2) / 2 / 20**2, rel=1e-4)


def test_an_error_in_a_lesion_counts_threefold_for_the_mean_alone() -> None:
    target = torch.full((1, 1, 32, 32), 40.0)
    lesion = torch.zeros_like(target)
    lesion[..., :8] = 1
    inside, outside = (
        losses_of(estimate(target + 5 * place, spread=10.0), target, lesion=lesion)
        for place in (lesion, 1 - lesion)
    )
    assert inside[0] / outside[0] == pytest.approx(3 * lesion.sum() / (1 - lesion).sum())
    unmarked = losses_of(estimate(target + 5 * lesion, spread=10.0), target)
    assert inside[1] == unmarked[1]
    assert inside[0] > unmarked[0]


# lesions as an observer looks for them

OBSERVED = LossSettings(channel_weight=20.0)


def disc(side: int = 32, radius: float = 5.0) -> Tensor:
    place = torch.arange(side) - side // 2
    away = torch.hypot(place[:, None].float(), place[None].float())
    return (away <= radius).float()[None, None]


def mean_loss_of(
    error: Tensor, lesion: Tensor, settings: LossSettings, *, is_clean: float = 0.0
) -> float:
    target = torch.full_like(error, 40.0)
    squared, _ = mean_loss(
        estimate(target + error, spread=10.0),
        target,
        anatomy=target,
        lesion=lesion,
        is_clean=torch.full((len(target),), is_clean),
        settings=settings,
    )
    return squared.item()


def test_no_weight_of_the_observer_changes_nothing() -> None:
    error, lesion = 5 * drawn(1, 1, 32, 32), disc()
    plain = losses_of(
        estimate(40 + error, spread=10.0), torch.full_like(error, 40.0), lesion=lesion
    )
    without = LossSettings(channel_weight=0.0, channel_window=3)
    assert mean_loss_of(error, lesion, without) == plain[0].item()


@pytest.mark.parametrize("is_clean", [0.0, 1.0])
def test_a_lesion_that_is_lost_costs_more_than_noise_of_the_same_square(is_clean: float) -> None:
    lesion = disc()
    signs = 2.0 * ((torch.arange(32)[:, None] + torch.arange(32)[None]) % 2) - 1
    lost, noisy = 5 * lesion, 5 * lesion * signs
    plain = [mean_loss_of(one, lesion, LossSettings(), is_clean=is_clean) for one in (lost, noisy)]
    assert plain[0] == pytest.approx(plain[1])
    seen = [mean_loss_of(one, lesion, OBSERVED, is_clean=is_clean) for one in (lost, noisy)]
    assert seen[0] > 2 * seen[1]
    assert seen[1] == pytest.approx(plain[1], rel=0.1)


def test_the_observer_looks_at_lesions_alone() -> None:
    error, nothing = 5 * torch.ones(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    assert mean_loss_of(error, nothing, OBSERVED) == mean_loss_of(error, nothing, LossSettings())


def test_what_the_observer_adds_is_the_square_of_the_mean_error_there() -> None:
    """A bias over everything is the same after any mean; the weight is per voxel of lesion."""
    error, lesion = 5 * torch.ones(1, 1, 32, 32), disc()
    added = mean_loss_of(error, lesion, OBSERVED) - mean_loss_of(error, lesion, LossSettings())
    voxels = lesion.sum().item()
    weight = 32 * 32 + (LossSettings().lesion_weight - 1) * voxels
    assert added == pytest.approx(20 * (5 / 20) ** 2 * voxels / weight, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "value"), [("channel_window", 6), ("channel_window", 0), ("channel_weight", -1.0)]
)
def test_an_observer_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        LossSettings(**{name: value})  # type: ignore[arg-type]


def test_the_ends_enclose_the_standard_dose_even_in_clean_pairs() -> None:
    target = 40 + 10 * drawn(2, 1, 32, 32)
    found = estimate(torch.full_like(target, 40.0), spread=16.0)
    flat = torch.full_like(target, 40.0)
    clean = losses_of(found, target, anatomy=flat, is_clean=1.0)
    assert clean[0] == 0
    assert clean[1] == losses_of(found, target, anatomy=flat)[1] > 0


def test_the_loss_of_the_ends_is_least_where_they_cover_nine_of_ten() -> None:
    target = 40 + 10 * drawn(4, 1, 64, 64)
    mean = torch.full_like(target, 40.0)
    spreads = torch.linspace(8, 26, 37).tolist()
    losses = [losses_of(estimate(mean, spread=spread), target)[1].item() for spread in spreads]
    best = spreads[losses.index(min(losses))]
    assert best == pytest.approx(16.45, abs=0.8)


def test_the_ends_do_not_pull_the_mean() -> None:
    mean = torch.full((1, 1, 16, 16), 30.0, requires_grad=True)
    _, ends = losses_of(estimate(mean, spread=5.0), torch.full((1, 1, 16, 16), 40.0))
    assert not ends.requires_grad


def test_the_loss_does_not_depend_on_the_dose() -> None:
    noise, mean = drawn(1, 1, 32, 32), torch.full((1, 1, 32, 32), 40.0)
    losses = [
        losses_of(estimate(mean, spread=level, level=level), mean + level * noise)
        for level in (10.0, 80.0)
    ]
    for low, high in zip(*losses, strict=True):
        assert torch.allclose(low, high, rtol=1e-4)


def test_metal_counts_linearly() -> None:
    mean = torch.full((1, 1, 32, 32), 40.0)
    near, far = (
        losses_of(estimate(mean, spread=10.0), mean + error)[0].item() for error in (1600, 3200)
    )
    assert far / near == pytest.approx(2, rel=0.06)


def test_the_noise_unit_is_the_level_inside_the_patient() -> None:
    level = torch.full((1, 1, 8, 8), 5.0)
    level[..., :4] = 100.0
    weight = torch.ones(1, 1, 8, 8)
    weight[..., :4] = 0.0
    assert noise_unit(level, weight).item() == 5.0
    assert noise_unit(0 * level, weight).item() == 3.0
    assert noise_unit(0 * level, weight, LossSettings(least_noise_hu=2.0)).item() == 2.0


def test_the_settings_say_where_the_patient_is() -> None:
    target = torch.full((1, 1, 9, 9), -1000.0)
    target[..., 4, 4] = 800.0
    narrow = body_weight(target, LossSettings(body_window=3, outside_weight=0.0))
    assert narrow.sum() == 9
    assert body_weight(target, LossSettings(body_window=1, outside_weight=0.0)).sum() == 1
    nowhere = LossSettings(body_window=3, body_above_hu=-500.0, outside_weight=0.0)
    assert body_weight(target, nowhere).sum() == 0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 6.0206), (1.0, 0.0), (2.0, -6.0206)])
def test_gain_of_a_known_error(share: float, expected: float) -> None:
    target = torch.full((2, 1, 32, 32), 40.0)
    error = 10 * drawn(2, 1, 32, 32)
    gain = gain_db(target + share * error, target + error, target)
    assert gain.tolist() == pytest.approx([expected] * 2, abs=1e-3)


def test_gain_looks_inside_the_patient_only() -> None:
    target = torch.full((1, 1, 64, 64), -1000.0)
    target[..., 32:] = 40.0
    noisy = target + 10 * drawn(1, 1, 64, 64)
    prediction = noisy.clone()
    prediction[..., :16] += 500
    assert gain_db(prediction, noisy, target).item() == pytest.approx(0, abs=1e-4)
    assert math.isfinite(gain_db(target, noisy, target).item())
