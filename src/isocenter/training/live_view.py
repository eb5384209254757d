"""A run as it goes, drawn in the terminal: losses, validation, the last picture and the time left.

Two pixels share a character, as the upper half block has one color above and another below. Where
the output is no terminal, :mod:`isocenter.training.logbook` says plain lines instead.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from isocenter.training.logbook import duration_in_words

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_COLUMNS = 48
_PICTURE_COLUMNS, _PICTURE_LINES = 96, 18
_PACE_STEPS = 100  # the pace is that of the last so many
_SECONDS_A_DRAWING = 0.25


def sparkline(values: Sequence[float], columns: int) -> str:
    """A curve of one line, from the lowest value to the highest.

    More values than columns are averaged in groups; what is not finite leaves a gap.
    """
    if not values:
        return ""
    groups = np.array_split(np.asarray(values, float), min(columns, len(values)))
    finite = [group[np.isfinite(group)] for group in groups]
    heights = np.array([group.mean() if len(group) else np.nan for group in finite])
    known = np.isfinite(heights)
    if not known.any():
        return " " * len(heights)
    low, high = heights[known].min(), heights[known].max()
    place = (heights - low) / (high - low) if high > low else np.zeros_like(heights)
    return "".join(
        _BARS[min(int(one * len(_BARS)), len(_BARS) - 1)] if np.isfinite(one) else " "
        for one in place
    )


def half_blocks(image: NDArray, *, columns: int, lines: int) -> Text:
    """Draw (row, column) uint8 in at most so many characters; its shape is kept."""
    rows, width = image.shape
    shrink = max(1.0, width / columns, rows / (2 * lines))
    size = (max(1, int(width / shrink)), max(2, 2 * int(rows / shrink / 2)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    drawn = Text(no_wrap=True)
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            drawn.append("▀", f"rgb({above},{above},{above}) on rgb({below},{below},{below})")
        drawn.append("\n")
    drawn.rstrip()
    return drawn


class LiveView:
    """What a run has to show, drawn anew in its place.

    Args:
        console: of the terminal.
        clock: seconds, rising.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live: Live | None = None
        self._drawn_at = float("-inf")

    def begin(self, name: str, step: int, steps: int) -> None:
        """Open the view of a run at a step of so many."""
        self._name, self._step, self._steps = name, step, steps
        self._pace: deque[tuple[int, float]] = deque([(step, self._clock())], _PACE_STEPS)
        self._losses: dict[str, list[float]] = {}
        self._merits: dict[str, list[tuple[int, float]]] = {}
        self._picture: tuple[str, int, NDArray] | None = None
        self._note = ""
        self._live = Live(self._drawing(), console=self._console, auto_refresh=False)
        self._live.start(refresh=True)

    def beat(self, step: int) -> None:
        """So many steps are done."""
        self._step = step
        if self._pace[-1][0] != step:
            self._pace.append((step, self._clock()))
        self._draw()

    def losses(self, step: int, values: Mapping[str, float]) -> None:
        """Take in the losses of a step."""
        for name, value in values.items():
            self._losses.setdefault(name, []).append(value)
        self.beat(step)

    def merits(self, step: int, values: Mapping[str, float]) -> None:
        """Take in how good the averaged weights are."""
        for name, value in values.items():
            self._merits.setdefault(name, []).append((step, value))
        self._draw(at_once=True)

    def picture(self, step: int, name: str, image: NDArray) -> None:
        """Show (row, column) uint8 until the next."""
        self._picture = (name, step, image)
        self._draw(at_once=True)

    def note(self, line: str) -> None:
        """Show a line until the next."""
        self._note = line
        self._draw(at_once=True)

    def close(self) -> None:
        """Leave the last drawing on the terminal."""
        if self._live is not None:
            self._live.update(self._drawing(), refresh=True)
            self._live.stop()
            self._live = None

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if self._live is not None and (at_once or now - self._drawn_at >= _SECONDS_A_DRAWING):
            self._drawn_at = now
            self._live.update(self._drawing(), refresh=True)

    def _drawing(self) -> RenderableType:
        bar = Padding(ProgressBar(self._steps, self._step), 0)  # which ends its line
        parts: list[RenderableType] = [self._head(), bar]
        if self._losses or self._merits:
            parts.append(self._curves())
        if self._picture is not None:
            name, step, image = self._picture
            columns = min(_PICTURE_COLUMNS, self._console.width - 4)
            parts.append(Text(f"{name} at step {step:,}", style="dim"))
            parts.append(half_blocks(image, columns=columns, lines=_PICTURE_LINES))
        if self._note:
            parts.append(Text(self._note, style="dim"))
        return Panel(Group(*parts), title=Text(self._name), title_align="left")

    def _head(self) -> Text:
        words = f"step {self._step:,} of {self._steps:,}"
        (first, then), (last, now) = self._pace[0], self._pace[-1]
        if last > first and now > then:
            pace = (last - first) / (now - then)
            left = duration_in_words((self._steps - self._step) / pace)
            words += f", {pace:.3g} steps a second, {left} left"
        return Text(words)

    def _curves(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, values in self._losses.items():
            table.add_row(Text(name), f"{values[-1]:.4g}", sparkline(values, _CURVE_COLUMNS))
        for name, judged in self._merits.items():
            values = [value for _, value in judged]
            step, best = max(judged, key=lambda one: one[1])
            table.add_row(
                Text(f"{name} validation"),
                f"{values[-1]:.4g}",
                f"{sparkline(values, _CURVE_COLUMNS // 2)} best {best:.4g} at step {step:,}",
            )
        return table


def view_of_terminal() -> LiveView | None:
    """A view on standard error, where that is a terminal which can draw."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        return None
    return LiveView(console)
