"""A gateway killed at random points loses, doubles and halves nothing; benchmarks kill more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_nothing_is_lost_where_the_gateway_is_killed(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    # A process of its own: gateways are forked from one without threads.
    command = [sys.executable, "-m", "benchmarks.gateway_kills", "--kills", "8", "--life", "1.0"]
    done = subprocess.run(
        [*command, "--output", str(figures)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(figures.read_text())["results"] > 0
