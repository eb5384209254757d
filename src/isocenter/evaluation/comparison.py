"""What a comparison of two series found, to print, to keep and to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.files import appearing_whole, write_json
from isocenter.evaluation.findings import Findings
from isocenter.evaluation.tables import COLUMNS, Row, comparison_dict, comparison_rows

__all__ = ["COLUMNS", "Comparison", "Row"]


@dataclass(frozen=True, kw_only=True)
class Comparison(Findings):
    """Findings that know how to show themselves."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what has no finite value is None."""
        return comparison_dict(self)

    def rows(self) -> list[Row]:
        """The table for a terminal, headed by :data:`COLUMNS`."""
        return comparison_rows(self)

    def save_json(self, path: str | Path) -> Path:
        """Write :meth:`as_dict`."""
        return write_json(Path(path), self.as_dict())

    def save_picture(self, path: str | Path, *, dpi: int = 110) -> Path:
        """Write images, difference, noise spectra, transfer functions and HU bias as PNG."""
        from isocenter.evaluation.picture import draw

        with appearing_whole(Path(path)) as part:
            draw(self).savefig(part, dpi=dpi, format="png")
        return Path(path)
