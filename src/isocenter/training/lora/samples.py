"""What a LoRA is fitted to: latents drawn anew each time, noise, times and texts, by number.

A sample follows from the seed and its number alone, so a run that is stopped goes on with the same
ones. The autoencoder looks at each picture once; what is kept is the mean and the deviation of its
latent, from which every epoch draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from isocenter.core.seeds import derived_seed
from isocenter.modelpack.stable_diffusion.parts import StableParts
from isocenter.modelpack.stable_diffusion.sampling import scaled_latent
from isocenter.modelpack.stable_diffusion.text import size_ids, token_ids
from isocenter.training.learner import Batch


@dataclass(frozen=True, kw_only=True)
class EncodedPicture:
    """One picture as the autoencoder sees it.

    Attributes:
        mean, spread: (channel, row, column) of its latent, scaled as the network knows it.
        ids: (token,) of its text, one tensor a tokenizer.
        sizes: (6,) as XL is told them.
    """

    mean: Tensor
    spread: Tensor
    ids: tuple[Tensor, ...]
    sizes: Tensor


@torch.no_grad()
def encoded(parts: StableParts, picture: Tensor, text: str) -> EncodedPicture:
    """Look at one picture.

    Args:
        parts: the model.
        picture: (1, 3, row, column) in [-1, 1].
        text: what it shows; what is too long is cut.
    """
    seen = parts.vae.encode(picture.to(parts.vae.device)).latent_dist
    mean = scaled_latent(parts, seen.mean)
    spread = scaled_latent(parts, seen.mean + seen.std) - mean
    return EncodedPicture(
        mean=mean[0].cpu(),
        spread=spread[0].cpu(),
        ids=tuple(one[0] for one in token_ids(parts, [text])),
        sizes=size_ids(parts, *picture.shape[-2:])[0],
    )


class LoraSamples(Dataset):
    """Samples by number; every picture comes once an epoch, in an order of its own."""

    def __init__(
        self,
        pictures: Sequence[EncodedPicture],
        no_text: tuple[Tensor, ...],
        *,
        seed: int,
        num_times: int,
        length: int,
        start: int = 0,
        drop_text: float = 0.0,
    ) -> None:
        """Say what is drawn.

        Args:
            pictures: what is fitted to.
            no_text: (token,) of the empty text, one tensor a tokenizer.
            seed: of everything that is drawn.
            num_times: of the noise schedule.
            length: number of the last sample and one.
            start: number of the first.
            drop_text: share of samples that lose their text, so that guidance can be learned.
        """
        self.pictures, self.no_text = pictures, no_text
        self.seed, self.num_times = seed, num_times
        self.length, self.start, self.drop_text = length, start, drop_text
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.length - self.start

    def __getitem__(self, number: int) -> Batch:
        number += self.start
        epoch, place = divmod(number, len(self.pictures))
        picture = self.pictures[self._order_of(epoch)[place]]
        generator = _generator(self.seed, "sample", number)
        latent = picture.mean + picture.spread * torch.randn(
            picture.mean.shape, generator=generator
        )
        noise = torch.randn(latent.shape, generator=generator)
        time = torch.randint(self.num_times, (), generator=generator)
        keeps_text = bool(torch.rand((), generator=generator) >= self.drop_text)
        ids = picture.ids if keeps_text else self.no_text
        return {
            "latent": latent,
            "noise": noise,
            "time": time,
            "keep": torch.tensor(float(keeps_text)),
            "sizes": picture.sizes,
            **{f"ids_{number}": one for number, one in enumerate(ids)},
        }

    def _order_of(self, epoch: int) -> list[int]:
        if self._order[0] != epoch:
            generator = _generator(self.seed, "order", epoch)
            order = torch.randperm(len(self.pictures), generator=generator).tolist()
            self._order = epoch, order
        return self._order[1]


def validation_batches(
    pictures: Sequence[EncodedPicture],
    no_text: tuple[Tensor, ...],
    *,
    seed: int,
    num_times: int,
    draws: int,
    batch_size: int,
) -> list[Batch]:
    """The same latents, noise and times at every validation, in batches.

    Args:
        pictures: of patients who are not trained on.
        no_text, seed, num_times: as for :class:`LoraSamples`.
        draws: how often each picture comes; its times are spread over the whole schedule.
        batch_size: of each batch; the last may be smaller.
    """
    length = draws * len(pictures)
    samples = LoraSamples(pictures, no_text, seed=seed, num_times=num_times, length=length)
    drawn = [samples[number] for number in range(length)]
    for number, one in enumerate(drawn):
        one["time"] = torch.tensor(int((number // len(pictures) + 0.5) / draws * num_times))
    groups = [drawn[begin : begin + batch_size] for begin in range(0, length, batch_size)]
    return [{name: torch.stack([one[name] for one in some]) for name in some[0]} for some in groups]


def _generator(seed: int, *parts: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, *parts))
