from __future__ import annotations

import json

import numpy as np

from isocenter.modelpack.ct_enhance.contract import EVERY_SCAN, Enhancer, IdentityEnhancer


def test_the_identity_gives_the_middle_slice_back() -> None:
    model: Enhancer = IdentityEnhancer()
    window = np.random.default_rng(0).normal(0, 500, (3, 7, 9)).astype(np.float32)
    estimate = model.estimate(window, spacing_mm=(1.0, 1.0))
    for image in (estimate.mean_hu, estimate.lower_hu, estimate.upper_hu):
        assert np.array_equal(image, window[1])
    sample = model.sample(window, estimate, spacing_mm=(1.0, 1.0), steps=4, seed=0)
    assert np.array_equal(sample, window[1])


def test_the_identity_takes_every_scan_and_has_a_card() -> None:
    model = IdentityEnhancer()
    assert model.accepted == EVERY_SCAN
    assert json.loads(json.dumps(model.card))["name"] == model.name
    assert len(model.weights_sha256) == 64
