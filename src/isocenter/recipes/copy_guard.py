"""What every recipe with a guard against copies does alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from isocenter.evaluation.sets.copies import Calibration
from isocenter.networks.image_embedding import ImageEmbedding
from isocenter.training.checkpoint import load_state, save_state
from isocenter.training.processes import is_main_process, wait_for_all

GUARD = "guard"
"""Folder of a run that keeps the embedding."""
_EMBEDDING = "embedding.pt"


def kept_embedding(output: Path, fitted: Callable[[], ImageEmbedding]) -> ImageEmbedding:
    """The embedding of a run, fitted once, by one process; a run that goes on reads it.

    Args:
        output: of the run.
        fitted: makes it where there is none yet.
    """
    path = output / GUARD / _EMBEDDING
    if not path.is_file() and is_main_process():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = fitted()
        save_state(path, {"config": made.config, "weights": made.state_dict()})
    wait_for_all()
    kept = load_state(path)
    embedding = ImageEmbedding(**kept["config"])
    embedding.load_state_dict(kept["weights"])
    return embedding


def described(calibration: Calibration) -> dict[str, Any]:
    """How a guard was calibrated, ready for JSON; what was not tried is left out."""
    return {key: value for key, value in asdict(calibration).items() if np.isfinite(value)}
