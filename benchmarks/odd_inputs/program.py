"""The program, ready to be forked: everything imported once, the model replaced by a stand-in."""

from __future__ import annotations

import gc
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from pydicom import config

from benchmarks.odd_inputs.model import StandIn
from benchmarks.odd_inputs.scans import write_scan


@contextmanager
def prepared() -> Iterator[None]:
    """Run once on a good scan, so that a child has nothing left to import."""
    import isocenter.modelpack.folder  # noqa: F401  so that it can be replaced

    stand_in = patch("isocenter.modelpack.folder.load_folder", lambda *_, **__: StandIn())
    stand_in.start()
    on_request = signal.getsignal(signal.SIGTERM)
    no_waiting = patch("isocenter.core.files.flush", lambda _: None)  # for the disk
    no_waiting.start()
    previous = config.settings.writing_validation_mode, config.settings.reading_validation_mode
    config.settings.writing_validation_mode = config.settings.reading_validation_mode = (
        config.IGNORE
    )
    try:
        with tempfile.TemporaryDirectory() as place:
            _run_once(Path(place))
        gc.freeze()  # pages of what is there stay shared
        yield
    finally:
        gc.unfreeze()
        no_waiting.stop()
        signal.signal(signal.SIGTERM, on_request)
        config.settings.writing_validation_mode, config.settings.reading_validation_mode = previous
        stand_in.stop()


def _run_once(place: Path) -> None:
    from isocenter.cli import main

    scan = write_scan(place / "scan")
    for arguments in (
        ["series", str(scan)],
        ["enhance", str(scan), "--output", str(place / "out")],
    ):
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            try:
                main(arguments)
            except SystemExit as leaving:
                if leaving.code:
                    raise RuntimeError("the good scan was refused") from leaving
