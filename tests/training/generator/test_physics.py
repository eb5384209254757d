"""What holds back a denoiser of CT."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.modelpack.generator.tiny import CHESTS, HEADS, tiny_denoiser, tiny_generator

from isocenter.core.errors import SettingRefused
from isocenter.diffusion.process import Process
from isocenter.modelpack.generator.told import painted
from isocenter.networks.autoencoder import Autoencoder
from isocenter.training.generator.denoiser import NoiseSettings, Penalty, denoiser_learner
from isocenter.training.generator.encode import scale_of
from isocenter.training.generator.latent_cases import SentenceBank
from isocenter.training.generator.physics import CtPenalty
from isocenter.training.learner import Batch, Learner

NUMBER = 8


@pytest.fixture(scope="module")
def planted() -> tuple[Autoencoder, CtPenalty, Batch]:
    """A body with a lung in air, told by its guide."""
    y, x = np.mgrid[:32, :48]
    labels = ((y - 15.5) ** 2 / 150 + (x - 23.5) ** 2 / 400 < 1).astype(np.uint8)
    labels[8:24, 12:24] = 2
    values = np.select([labels == 0, labels == 1], [-1000.0, 40.0], -850.0) / 1024
    autoencoder = tiny_generator().autoencoder
    with torch.no_grad():
        image, guide = (
            autoencoder.encode(torch.from_numpy(one.astype(np.float32))[None, None]).mean
            for one in (values, painted(labels, 2))
        )
    scale = scale_of([image])
    latent, guide = (scale.normalized(one).expand(NUMBER, -1, -1, -1) for one in (image, guide))
    said = {
        "latent": latent,
        "categories": torch.tensor([[2, 0, 0]] * NUMBER),
        "numbers": torch.full((NUMBER, 1), torch.nan),
        "box": torch.zeros(NUMBER, 1, *latent.shape[2:]),
        "boxed": torch.zeros(NUMBER, dtype=torch.bool),
        "guide": guide,
        "guided": torch.ones(NUMBER, dtype=torch.bool),
        "sentence": torch.full((NUMBER,), -1),
    }
    batch = {f"8x12.{name}": one for name, one in said.items()}
    judge = CtPenalty(autoencoder, scale, [HEADS, CHESTS], Process())
    return autoencoder, judge, batch


def learner_of(judge: CtPenalty | None, **options: float) -> Learner:
    bank = SentenceBank(
        words=torch.zeros(1, 2, 16), spoken=torch.ones(1, 2) > 0, meaning=torch.zeros(1, 16)
    )
    return denoiser_learner(
        tiny_denoiser(),
        process=Process(),
        bank=bank,
        noise=NoiseSettings(mean=-1.5),
        seed=0,
        penalty=None if judge is None else Penalty(judge=judge, **({"weight": 1.0} | options)),  # type: ignore[arg-type]
    )


def test_the_penalty_falls_when_fitted(planted: tuple[Autoencoder, CtPenalty, Batch]) -> None:
    autoencoder, judge, batch = planted
    before = [one.clone() for one in autoencoder.parameters()]
    learner = learner_of(judge, weight=5.0)
    optimizer = torch.optim.AdamW(learner.network.parameters(), 3e-3)
    found = []
    for _ in range(24):
        torch.manual_seed(0)  # the same noise, so that nothing but the fit changes what is found
        loss, logs = learner.loss(learner.network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(logs["penalty"])
    assert np.mean(found[-3:]) < 0.8 * found[0]
    after = list(autoencoder.parameters())
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    assert all(one.grad is None for one in after)


def test_a_look_is_taken_every_so_many_steps(
    planted: tuple[Autoencoder, CtPenalty, Batch],
) -> None:
    _, judge, batch = planted
    learner, plain = learner_of(judge, every=2), learner_of(None)
    totals = {}
    for step in (0, 1):
        learner.step = step
        torch.manual_seed(0)
        loss, logs = learner.loss(learner.network, batch)
        assert ("penalty" in logs) == (step == 0)
        totals[step] = loss.item()
    torch.manual_seed(0)
    assert totals[1] == plain.loss(plain.network, batch)[0].item()
    assert totals[0] > totals[1]


def test_images_of_other_families_cost_nothing(
    planted: tuple[Autoencoder, CtPenalty, Batch],
) -> None:
    _, judge, batch = planted
    heads = batch | {"8x12.categories": torch.tensor([[1, 0, 0]] * NUMBER)}
    learner = learner_of(judge)
    _, logs = learner.loss(learner.network, heads)
    assert logs["penalty"] == 0
    with pytest.raises(SettingRefused, match="body and lung"):
        CtPenalty(tiny_generator().autoencoder, judge._scale, [HEADS], Process())
