"""The matrices, the samples and the error of a LoRA, against what is known beforehand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from isocenter.modelpack.stable_diffusion.adapter import open_adapter, put_on
from isocenter.modelpack.stable_diffusion.folder import open_folder
from isocenter.modelpack.stable_diffusion.parts import StableParts, load_parts
from isocenter.modelpack.stable_diffusion.text import embed_texts, token_ids
from isocenter.training.learner import Batch
from isocenter.training.lora.losses import NoiseSchedule, condition_of, denoising_errors
from isocenter.training.lora.network import LoraNetwork
from isocenter.training.lora.samples import (
    EncodedPicture,
    LoraSamples,
    encoded,
    validation_batches,
)


def pictures(parts: StableParts, count: int = 3) -> list[EncodedPicture]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(count)]
    return [encoded(parts, one, f"lung {number}") for number, one in enumerate(made)]


def no_text(parts: StableParts) -> tuple[Tensor, ...]:
    return tuple(one[0] for one in token_ids(parts, [""]))


def batch_of(parts: StableParts) -> Batch:
    (batch,) = validation_batches(
        pictures(parts), no_text(parts), seed=1, num_times=1000, draws=1, batch_size=8
    )
    return batch


def schedule(*, velocity: bool) -> NoiseSchedule:
    return NoiseSchedule(kept=torch.linspace(0.999, 0.001, 1000), predicts_velocity=velocity)


def test_noise_and_targets_are_those_of_diffusers(parts: StableParts) -> None:
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler.from_config(parts.scheduler.config)
    ours = NoiseSchedule.of(parts)
    latent, noise = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    time = torch.tensor([0, 500, 999])
    assert torch.allclose(ours.noisy(latent, noise, time), theirs.add_noise(latent, noise, time))
    assert torch.allclose(
        ours.target(latent, noise, time), theirs.get_velocity(latent, noise, time)
    )


def test_velocity_and_noise_tell_the_same_image() -> None:
    latent, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    time = torch.tensor([400])
    both = schedule(velocity=True)
    kept = both.kept[400]
    noisy = both.noisy(latent, noise, time)
    velocity = both.target(latent, noise, time)
    assert torch.allclose(kept.sqrt() * noisy - (1 - kept).sqrt() * velocity, latent, atol=1e-5)
    assert schedule(velocity=False).target(latent, noise, time) is noise


def test_an_error_counts_the_same_in_the_image_whatever_is_predicted() -> None:
    time = torch.arange(1000)
    of_noise, of_velocity = (schedule(velocity=one).weight(time, 5.0) for one in (False, True))
    ratio = schedule(velocity=True).kept / (1 - schedule(velocity=True).kept)
    # An error e of the image is sqrt(ratio) e of the noise and sqrt(ratio + 1) e of the velocity.
    assert torch.allclose(of_noise * ratio, of_velocity * (ratio + 1), rtol=1e-4)
    assert torch.allclose(of_noise * ratio, ratio.clamp(max=5), rtol=1e-4)
    assert bool((schedule(velocity=True).weight(time, None) == 1).all())


def test_a_lora_begins_without_effect_and_has_few_parameters(parts: StableParts) -> None:
    batch = batch_of(parts)
    before = denoising_errors(parts, batch, NoiseSchedule.of(parts))
    network = LoraNetwork(parts, rank=2)
    assert network.is_without_effect()
    after = denoising_errors(parts, batch, NoiseSchedule.of(parts))
    assert torch.equal(before, after)
    live = [one for one in parts.unet.parameters() if one.requires_grad]
    assert {id(one) for one in network.parameters()} == {id(one) for one in live}
    assert sum(one.numel() for one in live) < 0.1 * sum(
        one.numel() for one in parts.unet.parameters()
    )


def test_a_copy_has_matrices_of_its_own_and_the_same_model(parts: StableParts) -> None:
    network = LoraNetwork(parts, rank=2)
    average = copy.deepcopy(network)
    assert average.parts is parts
    with torch.no_grad():
        for one in average.parameters():
            one.fill_(0.3)
    batch, times = batch_of(parts), NoiseSchedule.of(parts)
    plain = denoising_errors(parts, batch, times)
    with average.put_on() as changed:
        other = denoising_errors(changed, batch, times)
    assert not torch.allclose(plain, other)
    assert torch.equal(plain, denoising_errors(parts, batch, times))


@pytest.mark.parametrize("kind", ["sd1", "xl"])
def test_what_is_saved_is_what_was_fitted(
    kind: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    fitted, fresh = (load_parts(open_folder(tiny(kind))) for _ in range(2))
    network = LoraNetwork(fitted, rank=2, with_text=True)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in network.parameters():
            one.copy_(0.2 * torch.randn(one.shape, generator=generator))
    batch, times = batch_of(fresh), NoiseSchedule.of(fresh)
    plain = denoising_errors(fresh, batch, times)
    network.save(tmp_path)
    put_on(fresh, open_adapter(tmp_path))
    again = denoising_errors(fresh, batch, times)
    assert torch.allclose(again, denoising_errors(fitted, batch, times), rtol=1e-5)
    assert not torch.allclose(again, plain, rtol=1e-3)
    assert condition_of(fresh, batch).tokens.requires_grad is False


def gradients(parts: StableParts, network: LoraNetwork, batch: Batch) -> Sequence[Tensor]:
    network.zero_grad()
    denoising_errors(parts, batch, NoiseSchedule.of(parts)).mean().backward()
    return [one.grad.clone() for one in network.parameters() if one.grad is not None]


def test_gradients_are_those_without_checkpointing(parts: StableParts) -> None:
    network, batch = LoraNetwork(parts, rank=2, with_text=True), batch_of(parts)
    plain = gradients(parts, network, batch)
    parts.unet.enable_gradient_checkpointing()
    computed_twice = gradients(parts, network, batch)
    assert len(plain) == len(list(network.parameters()))
    assert all(torch.allclose(a, b) for a, b in zip(plain, computed_twice, strict=True))


def test_a_sample_follows_from_its_number_alone(parts: StableParts) -> None:
    def samples(start: int) -> LoraSamples:
        return LoraSamples(
            pictures(parts),
            no_text(parts),
            seed=4,
            num_times=1000,
            length=12,
            start=start,
            drop_text=0.5,
        )

    whole, rest = samples(0), samples(5)
    assert (len(whole), len(rest)) == (12, 7)
    for name, tensor in whole[7].items():
        assert torch.equal(tensor, rest[2][name]), name


def test_every_epoch_draws_every_picture_anew(parts: StableParts) -> None:
    known = pictures(parts)
    samples = LoraSamples(known, no_text(parts), seed=4, num_times=1000, length=6)
    drawn = [samples[number] for number in range(6)]
    shown = [
        next(place for place in range(3) if torch.equal(one["ids_0"], known[place].ids[0]))
        for one in drawn
    ]
    assert sorted(shown[:3]) == sorted(shown[3:]) == [0, 1, 2]
    twins = [one["latent"] for one, place in zip(drawn, shown, strict=True) if place == 0]
    assert not torch.equal(*twins)
    for latent in twins:
        deviation = (latent - known[0].mean) / known[0].spread
        assert float(deviation.std()) == pytest.approx(1, abs=0.2)


def test_a_share_of_samples_loses_its_text(parts: StableParts) -> None:
    samples = LoraSamples(
        pictures(parts), no_text(parts), seed=4, num_times=10, length=400, drop_text=0.25
    )
    kept = [float(samples[number]["keep"]) for number in range(400)]
    assert sum(kept) / 400 == pytest.approx(0.75, abs=0.07)
    lost = samples[kept.index(0.0)]
    assert torch.equal(lost["ids_0"], no_text(parts)[0])


def test_text_that_is_left_out_is_what_guidance_takes_for_none(parts_xl: StableParts) -> None:
    samples = LoraSamples(
        pictures(parts_xl), no_text(parts_xl), seed=4, num_times=10, length=1, drop_text=1.0
    )
    batch = {name: tensor[None] for name, tensor in samples[0].items()}
    left_out, none = condition_of(parts_xl, batch), embed_texts(parts_xl, [""])
    assert torch.equal(left_out.tokens, none.tokens)
    assert left_out.pooled is not None
    assert none.pooled is not None
    assert torch.equal(left_out.pooled, none.pooled)


def test_validation_is_the_same_each_time_and_spread_over_all_times(parts: StableParts) -> None:
    def batches() -> list[Batch]:
        return validation_batches(
            pictures(parts), no_text(parts), seed=1, num_times=1000, draws=4, batch_size=5
        )

    first, second = batches(), batches()
    assert [len(one["time"]) for one in first] == [5, 5, 2]
    assert sorted(set(torch.cat([one["time"] for one in first]).tolist())) == [125, 375, 625, 875]
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
