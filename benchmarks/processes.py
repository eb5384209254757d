"""What a whole process costs: its time from start to end and its peak memory."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    cpu_seconds: float
    peak_memory_gb: float


def cost_of(command: Sequence[str], *, threads: int, source: Path | None = None) -> Cost:
    """Run Python with these arguments to its end; shows what it wrote only where it failed.

    Args:
        threads: for its linear algebra.
        source: ``src`` folder whose isocenter it uses; that of this process where None.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if source is not None:
        environment["PYTHONPATH"] = str(source)
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, *command],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
        )
        _, status, usage = os.wait4(process, 0)
        seconds = time.perf_counter() - started
        if status:
            log.seek(0)
            raise SystemExit(f"python {' '.join(command)} failed:\n{log.read().decode()}")
    return Cost(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_memory_gb=usage.ru_maxrss / 1e6,
    )
