from __future__ import annotations

from io import StringIO
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from isocenter.training import live_view
from isocenter.training.live_view import LiveView, half_blocks, sparkline, view_of_terminal
from isocenter.training.logbook import LOSSES, Logbook


def console() -> Console:
    return Console(file=StringIO(), force_terminal=True, width=100, height=40)


def drawn(on: Console) -> str:
    assert isinstance(on.file, StringIO)
    return on.file.getvalue()


def test_a_curve_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3, 3], 8) == "▁▁▁"
    assert sparkline([], 8) == ""


def test_a_long_curve_is_averaged_and_what_is_not_finite_leaves_a_gap() -> None:
    assert sparkline([0, 2, float("nan"), float("nan"), 9, 9], 3) == "▁ █"
    assert sparkline([0, float("inf"), 7, 7], 2) == "▁█"
    assert sparkline([float("nan")], 5) == " "


def test_two_pixels_share_a_character() -> None:
    image = np.array([[0, 255], [128, 64], [10, 20], [30, 40]], np.uint8)
    text = half_blocks(image, columns=80, lines=18)
    assert text.plain == "▀▀\n▀▀"
    assert [str(span.style) for span in text.spans][:2] == [
        "rgb(0,0,0) on rgb(128,128,128)",
        "rgb(255,255,255) on rgb(64,64,64)",
    ]


@pytest.mark.parametrize(("shape", "expected"), [((64, 64), (8, 16)), ((20, 400), (1, 40))])
def test_a_picture_fits_and_keeps_its_shape(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    lines = half_blocks(np.zeros(shape, np.uint8), columns=40, lines=8).plain.split("\n")
    assert (len(lines), len(lines[0])) == expected


def test_a_run_shows_losses_merits_picture_pace_and_time_left() -> None:
    on = console()
    view = LiveView(on, clock=count(0.0, 0.5).__next__)
    view.begin("denoiser", 0, 100)
    for step in range(1, 11):
        view.losses(step, {"flow loss": 1 / step})
    view.merits(10, {"flow": -0.25})
    view.merits(10, {"flow": -0.5})
    view.picture(10, "flow", np.full((8, 8), 90, np.uint8))
    view.note("a note")
    view.close()
    last = drawn(on)[drawn(on).rindex("denoiser") :]
    for words in ("step 10 of 100", "steps a second", "left", "flow loss", "0.1", "best -0.25 at"):
        assert words in last
    assert "flow at step 10" in last
    assert "a note" in last
    assert "▀" in last


def test_the_logbook_draws_in_place_of_lines_and_keeps_the_same_files(tmp_path: Path) -> None:
    said: list[str] = []
    on = console()
    for view in (None, LiveView(on)):
        folder = tmp_path / ("plain" if view is None else "live")
        book = Logbook(folder, say=said.append, view=view)
        book.begin(0, 4)
        book.losses(1, {"a": 0.5})
        book.beat(2)
        book.merits(2, {"a": 1.0})
        book.picture(2, "a", np.zeros((4, 4), np.uint8))
        book.stopped(2)
        book.close()
    assert all(line.startswith("plain: ") for line in said)
    assert said[-1].startswith("plain: stopped at step 2 of 4")
    assert "live: stopped at step 2 of 4" in drawn(on)
    assert (tmp_path / "live" / LOSSES).read_text() == (tmp_path / "plain" / LOSSES).read_text()
    assert (tmp_path / "live" / "pictures" / "a_000002.png").is_file()


def test_where_no_terminal_is_there_is_no_view(monkeypatch: pytest.MonkeyPatch) -> None:
    assert view_of_terminal() is None
    monkeypatch.setattr(live_view.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert view_of_terminal() is None
    monkeypatch.setenv("TERM", "xterm")
    assert view_of_terminal() is not None
