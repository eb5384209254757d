from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from isocenter.networks.copy_guard import CopyGuard, embedded
from isocenter.networks.image_embedding import ImageEmbedding

CONFIG: dict[str, Any] = {
    "channels": 8,
    "side": 32,
    "grid": 2,
    "widths": [16, 32],
    "blocks": [1, 1],
}


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (5, 40, 40)).astype(np.float32)


@pytest.fixture
def guard(images: np.ndarray) -> CopyGuard:
    made = CopyGuard(embedding=CONFIG, groups={"heads": {"num_images": 5, "threshold": 0.999}})
    made.training_vectors("heads").copy_(torch.from_numpy(embedded(made.embedding, images)))
    return made


def test_a_training_image_is_a_copy_of_itself(guard: CopyGuard, images: np.ndarray) -> None:
    verdict = guard.judge(images[::-1], "heads")
    assert verdict.is_copy.all()
    assert verdict.row.tolist() == [4, 3, 2, 1, 0]


def test_another_image_is_none(guard: CopyGuard) -> None:
    verdict = guard.judge(np.linspace(-1, 1, 1600, dtype=np.float32).reshape(1, 40, 40), "heads")
    assert not verdict.is_copy.any()
    assert verdict.similarity[0] < 0.999


def test_config_and_tensors_say_all(guard: CopyGuard, images: np.ndarray) -> None:
    again = CopyGuard(**guard.config)
    again.load_state_dict(guard.state_dict())
    assert again.judge(images, "heads").similarity == pytest.approx(
        guard.judge(images, "heads").similarity
    )
    assert "vectors_0" in guard.state_dict()


def test_images_are_embedded_alike_in_any_batch(images: np.ndarray) -> None:
    network = ImageEmbedding(**CONFIG)
    many = embedded(network, np.concatenate([images] * 8))
    assert many[-5:] == pytest.approx(embedded(network, images), abs=1e-5)


@pytest.mark.parametrize("setting", [{"num_images": 0}, {"threshold": 1.5}, {"threshold": np.nan}])
def test_a_guard_that_cannot_be_meant_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        CopyGuard(
            embedding=CONFIG, groups={"heads": {"num_images": 3, "threshold": 0.9, **setting}}
        )


def test_joined_guards_keep_each_group_apart(guard: CopyGuard, images: np.ndarray) -> None:
    other = CopyGuard(embedding=CONFIG, groups={"chests": {"num_images": 2, "threshold": 0.5}})
    other.embedding.load_state_dict(guard.embedding.state_dict())
    other.training_vectors("chests").copy_(torch.from_numpy(embedded(guard.embedding, -images[:2])))
    both = CopyGuard.joined([guard, other])
    assert both.groups == {**guard.groups, **other.groups}
    assert both.judge(images, "heads").row.tolist() == [0, 1, 2, 3, 4]
    assert both.judge(-images[:2], "chests").row.tolist() == [0, 1]
    with pytest.raises(ValueError, match="groups"):
        CopyGuard(embedding=CONFIG, groups={})
