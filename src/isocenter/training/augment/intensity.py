"""Other gray levels of the same anatomy: bias field, gamma, contrast and noise.

What is empty (at or below the lowest value) stays so: it is no part of the patient. Labels and
boxes stay as they are, and so does the image, to the last bit, where nothing is changed. These are
for images without a unit; HU and other measured values would no longer be true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from isocenter.core.checks import check_least, check_positive
from isocenter.training.augment.sample import Sample, Values


@dataclass(frozen=True, kw_only=True)
class BiasField:
    """Gray levels that slowly rise and fall over the image, as those of a receive coil.

    Attributes:
        strengths: of the products of Legendre polynomials of each axis, in the order of
            :func:`orders`; the gain is the exponential of their sum.
        order: highest sum of the degrees.
    """

    strengths: Sequence[float] = ()
    order: int = 2

    def __call__(self, sample: Sample, values: Values) -> Sample:
        """The sample with its values above black times the gain."""
        if not any(self.strengths):
            return sample
        gain = bias_gain(self.strengths, self.order, sample.space).to(sample.image)
        changed = values.low + (sample.image - values.low) * gain
        return _changed(sample, changed, values)


@dataclass(frozen=True, kw_only=True)
class Gamma:
    """Gray levels to a power, between black and white; above 1 darker.

    Attributes:
        gamma: the power.
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        check_positive("gamma", self.gamma)

    def __call__(self, sample: Sample, values: Values) -> Sample:
        """The sample with its gray levels to the power."""
        if self.gamma == 1:
            return sample
        span = values.high - values.low
        level = ((sample.image - values.low) / span).clamp(0, 1)
        return _changed(sample, values.low + span * level**self.gamma, values)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Contrast about the middle gray, and brightness.

    Attributes:
        gain: of the distance from the middle gray.
        offset: added, as a share of the range from black to white.
    """

    gain: float = 1.0
    offset: float = 0.0

    def __call__(self, sample: Sample, values: Values) -> Sample:
        """The sample with more or less contrast and light."""
        if self.gain == 1 and self.offset == 0:
            return sample
        middle = (values.low + values.high) / 2
        added = self.offset * (values.high - values.low)
        return _changed(sample, middle + self.gain * (sample.image - middle) + added, values)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Gaussian noise without texture.

    Attributes:
        level: standard deviation, as a share of the range from black to white.
        seed: of the noise; the same image gets the same.
    """

    level: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_least("level", self.level, 0)

    def __call__(self, sample: Sample, values: Values) -> Sample:
        """The sample with noise."""
        if self.level == 0:
            return sample
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(sample.image.shape, generator=generator).to(sample.image)
        deviation = self.level * (values.high - values.low)
        return _changed(sample, sample.image + deviation * noise, values)


def orders(axes: int, order: int) -> Iterator[tuple[int, ...]]:
    """Degrees along each axis whose sum is from 1 to the order."""
    return (one for one in product(range(order + 1), repeat=axes) if 1 <= sum(one) <= order)


def bias_gain(strengths: Sequence[float], order: int, space: Sequence[int]) -> Tensor:
    """The gain of a bias field over the space of an image, double.

    Raises:
        ValueError: there are not as many strengths as products of polynomials.
    """
    degrees = list(orders(len(space), order))
    if len(degrees) != len(strengths):
        raise ValueError(
            f"a bias field of order {order} over {len(space)} axes has {len(degrees)} strengths, "
            f"got {len(strengths)}"
        )
    total = torch.zeros(tuple(space), dtype=torch.float64)
    for strength, degree in zip(strengths, degrees, strict=True):
        term = torch.tensor(float(strength), dtype=torch.float64)
        for axis, (count, power) in enumerate(zip(space, degree, strict=True)):
            along = torch.special.legendre_polynomial_p(
                torch.linspace(-1, 1, count, dtype=torch.float64), power
            )
            term = term * along.view([-1 if k == axis else 1 for k in range(len(space))])
        total = total + term
    return total.exp()


def _changed(sample: Sample, image: Tensor, values: Values) -> Sample:
    image = image.clamp(values.low, values.high)
    return sample.with_image(torch.where(sample.image <= values.low, sample.image, image))
