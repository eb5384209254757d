from __future__ import annotations

import numpy as np
import pytest

from isocenter.image.mr_noise import tissue_noise_sd

INSIDE = np.zeros((6, 64, 64), bool)
INSIDE[:, 4:60, 4:60] = True


@pytest.mark.parametrize("noise", [1.0, 20.0])
def test_the_noise_of_a_ramp_with_edges_is_found(noise: float) -> None:
    rng = np.random.default_rng(0)
    image = np.broadcast_to(300.0 + 2.0 * np.arange(64), (6, 64, 64)).copy()
    image[:, 30:, :] += 400.0
    measured = tissue_noise_sd(image + rng.normal(0, noise, image.shape), INSIDE)
    assert measured == pytest.approx(noise, rel=0.1)


def test_the_background_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    image = 100.0 + rng.normal(0, 3.0, INSIDE.shape)
    assert tissue_noise_sd(np.where(INSIDE, image, 0), INSIDE) == pytest.approx(
        tissue_noise_sd(image, INSIDE)
    )


def test_nothing_is_told_of_next_to_no_tissue() -> None:
    few = np.zeros_like(INSIDE)
    few[0, :5, :5] = True
    assert tissue_noise_sd(np.ones(few.shape), few) == 0
