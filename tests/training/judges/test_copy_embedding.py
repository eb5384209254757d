"""A memorized patient is found, and a stranger is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import InputRefused
from isocenter.evaluation.sets.copies import make_guard
from isocenter.networks.copy_guard import CopyGuard
from isocenter.training.judges.alteration import AlterationSettings, altered, drawn_alteration
from isocenter.training.judges.copy_embedding import (
    CopyEmbeddingSettings,
    contrastive_loss,
    train_copy_embedding,
)
from isocenter.training.judges.fitting import FitSettings

SETTINGS = CopyEmbeddingSettings(
    channels=24,
    side=32,
    grid=3,
    widths=(16, 32),
    blocks=(1, 1),
    fit=FitSettings(steps=120, batch_size=24, learning_rate=3e-3),
    alteration=AlterationSettings(zoom=0.05, shift=0.03, turn_deg=4, mirror=0.0),
)


def heads(count: int, seed: int) -> NDArray:
    """Ovals alike in outline, each with structure of its own inside."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:48, :48]
    inside = (row - 24) ** 2 / 20**2 + (column - 24) ** 2 / 17**2 < 1
    texture = ndimage.gaussian_filter(rng.standard_normal((count, 48, 48)), (0, 3, 3))
    texture /= texture.std(axis=(1, 2), keepdims=True)
    return np.where(inside, np.clip(0.3 * texture, -0.9, 0.9), -1).astype(np.float32)


def slightly_altered(images: NDArray, seed: int = 9) -> NDArray:
    small = AlterationSettings(zoom=0.03, shift=0.02, turn_deg=3, mirror=0.0, noise=0.03)
    drawn = drawn_alteration(len(images), small, torch.Generator().manual_seed(seed))
    return altered(torch.from_numpy(images)[:, None], drawn)[:, 0].numpy()


@pytest.fixture(scope="module")
def made() -> SimpleNamespace:
    training, held_out = heads(60, 0), heads(40, 1)
    patients = np.arange(60) // 2
    network = train_copy_embedding(training, patients, settings=SETTINGS, seed=1)
    guard, calibration = make_guard(network, training, held_out, alter=slightly_altered)
    return SimpleNamespace(training=training, guard=guard, calibration=calibration, network=network)


def test_a_memorized_patient_is_blocked(made: SimpleNamespace) -> None:
    planted = slightly_altered(made.training[7:9], seed=123)
    assert made.guard.judge(planted, "images").is_copy.all()
    assert made.calibration.copies_caught > 0.9


def test_a_stranger_is_not(made: SimpleNamespace) -> None:
    assert made.guard.judge(heads(40, 2), "images").is_copy.mean() < 0.05
    assert made.calibration.held_out_blocked == 0
    assert made.calibration.held_out_median < made.calibration.threshold


def test_a_guard_survives_being_stored_in_half_precision(made: SimpleNamespace) -> None:
    halves = {name: value.half() for name, value in made.guard.state_dict().items()}
    again = CopyGuard(**made.guard.config)
    again.load_state_dict({name: value.float() for name, value in halves.items()})
    images = heads(5, 3)
    assert again.judge(images, "images").similarity == pytest.approx(
        made.guard.judge(images, "images").similarity, abs=1e-6
    )


def test_the_order_of_the_vectors_is_not_that_of_the_patients(made: SimpleNamespace) -> None:
    rows = made.guard.judge(made.training, "images").row
    assert sorted(rows.tolist()) == list(range(60))
    assert rows.tolist() != list(range(60))


def test_too_few_held_out_images_are_refused(made: SimpleNamespace) -> None:
    with pytest.raises(InputRefused, match="hold more patients out"):
        make_guard(made.network, made.training, heads(5, 1))


def test_the_loss_knows_the_partner_and_spares_the_own_patient() -> None:
    eye = torch.eye(4)
    apart = torch.tensor([0, 1, 2, 3])
    assert contrastive_loss(eye, eye, apart, 0.1) < 0.01
    assert contrastive_loss(eye, eye.roll(1, 0), apart, 0.1) > 5
    same = torch.nn.functional.normalize(torch.ones(4, 4), dim=1)
    one_patient = torch.zeros(4, dtype=torch.long)
    assert float(contrastive_loss(same, same, one_patient, 0.1)) == pytest.approx(0, abs=1e-6)


def test_one_patient_has_no_others() -> None:
    with pytest.raises(InputRefused, match="patient"):
        train_copy_embedding(heads(4, 0), ["a"] * 4, settings=SETTINGS)
