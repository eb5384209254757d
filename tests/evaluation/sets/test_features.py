from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from isocenter.core.errors import ModelRefused
from isocenter.evaluation.sets.features import (
    WHOLE,
    FilterFeatures,
    NetworkFeatures,
    features_of_file,
    grid_regions,
    mask_regions,
    measured,
    save_features,
)
from isocenter.evaluation.sets.filter_statistics import filter_maps, thumbnails
from isocenter.networks.feature_network import FeatureNetwork


def images(count: int = 3, side: int = 64, seed: int = 0) -> NDArray:
    noise = np.random.default_rng(seed).standard_normal((count, side, side))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2))
    return np.clip(smooth / smooth.std() / 3, -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FeatureNetwork(widths=(16, 32), blocks=(1, 1)).eval()


def test_filters_see_blur_noise_and_direction() -> None:
    given = images()
    plain = np.stack([one.mean(axis=(0, 2, 3)) for one in filter_maps(given)[:4]])
    blurred = np.stack(
        [
            one.mean(axis=(0, 2, 3))
            for one in filter_maps(ndimage.gaussian_filter(given, (0, 2, 2)))[:4]
        ]
    )
    assert np.all(blurred[0] < plain[0] - 0.2)
    stripes = np.tile(np.sin(np.arange(64.0)), (1, 64, 1))
    along, across = filter_maps(stripes)[0].mean(axis=(0, 2, 3))[:2]
    assert along > across + 2


def test_thumbnails_are_means_of_cells() -> None:
    image = np.kron(np.arange(16.0).reshape(4, 4), np.ones((16, 16)))[None]
    assert thumbnails(image, 4)[0] == pytest.approx(np.arange(16.0))


def test_every_scale_and_region_is_measured() -> None:
    given = images(side=128)
    found = measured(given, FilterFeatures(), regions=grid_regions((128, 128)), scales=(1, 2, 4))
    assert next(iter(found)) == WHOLE
    assert "1/2 of the size" in found
    assert "1/4 of the size" not in found
    assert sum("2 x 2" in name for name in found) == 4
    assert all(len(one) == 3 and np.all(np.isfinite(one)) for one in found.values())


def test_a_region_knows_of_itself_alone() -> None:
    given = images(side=128)
    changed = given.copy()
    changed[:, 96:, 96:] = 0.9
    regions = grid_regions((128, 128))
    before, after = (measured(each, FilterFeatures(), regions=regions) for each in (given, changed))
    names = list(regions.weights)
    assert after[names[0]] == pytest.approx(before[names[0]], abs=1e-6)
    assert np.abs(after[names[3]] - before[names[3]]).max() > 0.1


def test_labels_of_a_mask_are_regions() -> None:
    mask = np.zeros((64, 64), int)
    mask[:32] = 1
    mask[40:50, 40:50] = 2
    regions = mask_regions(mask, ["brain", "tumor"])
    found = measured(images(), FilterFeatures(), regions=regions)
    assert {"brain", "tumor"} < set(found)
    with pytest.raises(ValueError, match="no pixel of 'skull'"):
        mask_regions(mask, ["brain", "tumor", "skull"])


def test_images_are_measured_alike_in_any_batch(network: FeatureNetwork) -> None:
    many = images(20)
    for features in (FilterFeatures(), NetworkFeatures(network)):
        found = measured(many, features)[WHOLE]
        assert found[17:] == pytest.approx(measured(many[17:], features)[WHOLE], abs=1e-5)


def test_a_network_is_stored_and_read_again(network: FeatureNetwork, tmp_path: Path) -> None:
    file = save_features(network, tmp_path / "features.safetensors")
    again = features_of_file(file)
    assert len(again.digest) == 64
    given = images()
    expected = measured(given, NetworkFeatures(network))[WHOLE]
    assert measured(given, again)[WHOLE] == pytest.approx(expected, abs=0.01)
    assert measured(given, features_of_file(tmp_path))[WHOLE].shape == expected.shape


def test_other_weights_are_refused_in_words(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    inception = tmp_path / "inception.safetensors"
    save_file({"Mixed_7c.weight": torch.zeros(2, 2)}, inception)
    with pytest.raises(ModelRefused, match="Inception network cannot be used"):
        features_of_file(inception)
    torch_file = tmp_path / "weights.pth"
    torch_file.write_bytes(b"PK")
    with pytest.raises(ModelRefused, match="can run code"):
        features_of_file(torch_file)
    with pytest.raises(ModelRefused, match="no such file"):
        features_of_file(tmp_path / "absent.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelRefused, match="this one 0"):
        features_of_file(tmp_path / "empty")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not tensors")
    with pytest.raises(ModelRefused, match="Leave --features out"):
        features_of_file(damaged)


@pytest.mark.parametrize("shape", [(2, 32, 64), (64, 64)])
def test_small_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="64 pixels a side"):
        measured(np.zeros(shape), FilterFeatures())
