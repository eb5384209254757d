"""Find CT series in files and folders, refuse what cannot be worked on, and open one."""

from __future__ import annotations

from pathlib import Path

from isocenter.core.volume import Volume
from isocenter.dicom.series import CtSeries


def open_ct_series(
    path: str | Path, *, series: str | None = None, run: str = "all"
) -> CtSeries: ...


def read_volume(path: str | Path, *, series: str | None = None) -> Volume: ...
