"""Images that the model draws, kept on disk by everything that decides them.

Every part asks here, so an image is drawn once, and a run that stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.generate.study import Study, in_network
from benchmarks.generate.wishes import like_test_images
from isocenter.core.files import appearing_whole
from isocenter.core.seeds import derived_seed
from isocenter.modelpack.generator.defaults import OWN_SAMPLER
from isocenter.modelpack.generator.wish import Wish

FOLDER = "drawn"
_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How images are drawn; see :meth:`ImageGenerator.generate`."""

    steps: int
    guidance: float
    sampler: str = OWN_SAMPLER


def default_setting(study: Study) -> Setting:
    """As the model draws where nobody says otherwise."""
    return Setting(steps=study.model.defaults.steps, guidance=study.model.defaults.guidance)


def seed_of(study: Study, number: int) -> int:
    """Of image number so and so, whatever its family and setting."""
    return derived_seed(study.seed, "benchmark image", number) % 2**32


def drawn(study: Study, name: str, wishes: Sequence[Wish], setting: Setting) -> NDArray:
    """(images, rows, columns) float16 in [-1, 1], one a wish, the k-th from seed number k."""
    parts = []
    for first in range(0, len(wishes), _CHUNK):
        group = list(wishes[first : first + _CHUNK])
        seeds = [seed_of(study, first + k) for k in range(len(group))]
        path = _path(study, name, group, seeds, setting)
        if not path.is_file():
            study.say(
                f"drawing {name}, {first + len(group)} of {len(wishes)}, {setting.steps} steps, "
                f"guidance {setting.guidance:g}"
            )
            _keep(_images(study, name, group, seeds, setting), path)
        parts.append(np.load(path, allow_pickle=False))
    return np.concatenate(parts)


def drawn_by_default(study: Study, name: str) -> NDArray:
    """As many as the effort says, asked for as the test images are."""
    wishes = like_test_images(study, name, study.effort.number)
    return drawn(study, name, wishes, default_setting(study))


def prior_images(study: Study, name: str, number: int) -> NDArray:
    """What the autoencoder alone makes of noise, (images, rows, columns) float16 in [-1, 1]."""
    generator = study.model.of(name)
    values = [generator.sample_prior(seed_of(study, k)) for k in range(number)]
    return in_network(generator.family, np.stack(values)).astype(np.float16)


def _images(
    study: Study, name: str, wishes: Sequence[Wish], seeds: Sequence[int], setting: Setting
) -> NDArray:
    generator = study.model.of(name)
    found = generator.generate(wishes, seeds, **asdict(setting), batch_size=study.batch_size)
    values = np.stack([one.values for one in found])
    return in_network(generator.family, values).astype(np.float16)


def _path(
    study: Study, name: str, wishes: Sequence[Wish], seeds: Sequence[int], setting: Setting
) -> Path:
    decides = {
        "weights": study.model.weights_sha256,
        "family": name,
        "setting": asdict(setting),
        "wishes": [one.described() for one in wishes],
        "seeds": list(seeds),
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return study.output / FOLDER / f"{name}-{digest[:24]}.npy"


def _keep(images: NDArray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing_whole(path) as part, part.open("wb") as file:
        np.save(file, images)
