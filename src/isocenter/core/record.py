"""The record that every result carries: what made it, from what, with which settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Enough to make a result again, and to say where every pixel came from.

    Attributes:
        task: such as "ct_enhance".
        product_version: version of Isocenter.
        model_name, model_version: as the model's card names it.
        weights_sha256: hexadecimal digest over all weight files of the model.
        settings: everything that changes a pixel, such as strength, samples, steps and seed.
        source_digest: hexadecimal digest over the identity and pixels of the input.
        warnings: rules that were overridden and what was measured.
        library_versions: of the libraries that can change a pixel.
    """

    task: str
    product_version: str
    model_name: str
    model_version: str
    weights_sha256: str
    settings: dict[str, Any] = field(default_factory=dict)
    source_digest: str = ""
    warnings: tuple[str, ...] = ()
    library_versions: dict[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Hexadecimal SHA-256 over what decides the pixels; equal records make equal results.

        Library versions and warnings are left out: they explain, they do not ask for other pixels.
        """
        decisive = {
            "task": self.task,
            "product_version": self.product_version,
            "weights_sha256": self.weights_sha256,
            "settings": self.settings,
            "source_digest": self.source_digest,
        }
        text = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"digest": self.digest()}
