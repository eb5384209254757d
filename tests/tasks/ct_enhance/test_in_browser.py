"""The report in a real browser: every value arrives, every picture is drawn, nothing is loaded."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isocenter.core.record import RunRecord
from isocenter.tasks.ct_enhance.rules import judge_scan
from isocenter.tasks.ct_enhance.sections import EnhanceObserver
from isocenter.tasks.ct_enhance.settings import EnhanceSettings
from isocenter.tasks.ct_enhance.stream import enhanced_slices
from isocenter.tasks.ct_enhance.task import TASK
from isocenter.tasks.report.page import Report, write_report
from isocenter.tasks.task import SliceResult

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


def write(scan: Any, model: Any, path: Path) -> list[SliceResult]:
    """A report of a scan; returns what it was made from."""
    suitability = judge_scan(scan, model.accepted)
    observer = EnhanceObserver(scan, EnhanceSettings(), suitability, model.card)
    results = list(enhanced_slices(scan, model, EnhanceSettings()))
    for result in results:
        observer.take(result)
    record = RunRecord(
        task="ct_enhance",
        product_version="0",
        model_name="double",
        model_version="1",
        weights_sha256="ab" * 32,
    )
    page = observer.observed({"enhanced": 0}).page
    report = Report(task=TASK, record=record, card=model.card, suitability=suitability, page=page)
    write_report(report, path)
    return results


def seen_by_chromium(path: Path, folder: Path) -> dict[str, Any]:
    """What the page found when it tested itself."""
    assert CHROMIUM is not None
    options = (
        "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
        "--disable-background-networking --virtual-time-budget=60000 --dump-dom"
    )
    done = subprocess.run(
        [CHROMIUM, *options.split(), f"--user-data-dir={folder}", f"{path.as_uri()}#viewer-check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'data-check="([^"]+)"', done.stdout)
    assert found, done.stderr[-2000:]
    value: dict[str, Any] = json.loads(unescape(found[1]))
    return value


def test_every_value_arrives_and_every_picture_is_drawn(
    make_scan: Callable[..., Any], doubles: Any, tmp_path: Path
) -> None:
    scan = make_scan(shape=(9, 96, 80), spacing_mm=(3.0, 3.5, 4.0))
    results = write(scan, doubles.ModelDouble(), tmp_path / "report.html")
    found = seen_by_chromium(tmp_path / "report.html", tmp_path / "profile")
    assert found["errors"] == []
    # nine slices and three reformats, four layers each; swipe and pair are drawn besides
    assert len(found["planes"]) == 12 * 4
    assert found["pictures"] == 12 * 6
    for result in results:
        assert result.before is not None
        before, after = np.rint(result.before), np.rint(result.values["enhanced"])
        sums = {
            "before": before.sum(),
            "after": after.sum(),
            "difference": (after - before).sum(),
            "uncertainty": np.rint(4 * result.values["uncertainty"]).sum() / 4,
        }
        for key, wanted in sums.items():
            assert found["planes"][f"{result.index}".join(("0-", f"-{key}"))] == wanted
