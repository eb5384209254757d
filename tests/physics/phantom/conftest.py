"""Small heads of ellipsoids: half of the size, so that tests are quick."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isocenter.physics.phantom.analytic_head import analytic_head
from isocenter.physics.phantom.anatomy import Anatomy
from isocenter.physics.phantom.head import SimulatedHead, make_head


@pytest.fixture(scope="session")
def tissues() -> NDArray[np.uint8]:
    return analytic_head(np.random.default_rng(1), scale=0.5)


@pytest.fixture(scope="session")
def anatomy(tissues: NDArray[np.uint8]) -> Anatomy:
    return Anatomy(tissues=tissues)


@pytest.fixture(scope="session")
def healthy(tissues: NDArray[np.uint8]) -> SimulatedHead:
    return make_head(tissues, seed=1)
