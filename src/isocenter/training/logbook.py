"""What a run says and keeps of itself: lines or a live view, CSV, TensorBoard and pictures."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from PIL import Image

from isocenter.core.files import appearing_whole, write_text
from isocenter.core.progress import Say, say_nothing

if TYPE_CHECKING:
    from isocenter.training.live_view import LiveView

LOSSES, MERITS = "losses.csv", "validation.csv"
NO_TENSORBOARD = (
    "TensorBoard is not installed: losses go to losses.csv alone (it comes with the extra `train`)"
)


class Logbook:
    """The log of one run in its folder; only the main process has one.

    ``losses.csv`` and ``validation.csv`` have a row a step, ``pictures`` one PNG a validation and
    learner, ``tensorboard`` the same for TensorBoard.

    Args:
        folder: of the run.
        say: is told lines of progress.
        view: drawn in place of those lines, while the log is open.
    """

    def __init__(
        self, folder: Path, *, say: Say = say_nothing, view: LiveView | None = None
    ) -> None:
        self.folder = folder
        self.say = say
        self.view = view
        self._board: Any = None

    def begin(self, step: int, steps: int) -> None:
        """Open the log at a step; what a run that was stopped wrote beyond it is dropped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (LOSSES, MERITS):
            _drop_rows_after(self.folder / name, step or -1)
        self._first, self._steps = step, steps
        self._started = time.monotonic()
        if self.view is not None:
            self.view.begin(self.folder.name, step, steps)
        note = self.say if self.view is None else self.view.note
        self._board = _open_board(self.folder / "tensorboard", step, say=note)

    def losses(self, step: int, values: Mapping[str, float]) -> None:
        """Keep and say the losses of a step."""
        self._keep(LOSSES, step, values)
        if self.view is not None:
            self.view.losses(step, values)
            return
        a_step = (time.monotonic() - self._started) / (step - self._first)
        self.say(
            f"{self.folder.name}: step {step:,} of {self._steps:,}, {_in_words(values)}; "
            f"{duration_in_words(a_step * (self._steps - step))} left"
        )

    def merits(self, step: int, values: Mapping[str, float]) -> None:
        """Keep and say how good the averaged weights are."""
        self._keep(MERITS, step, values, prefix="validation ")
        if self.view is not None:
            self.view.merits(step, values)
            return
        self.say(f"{self.folder.name}: step {step:,}, validation: {_in_words(values)}")

    def picture(self, step: int, name: str, image: NDArray) -> None:
        """Keep (row, column) uint8."""
        folder = self.folder / "pictures"
        folder.mkdir(exist_ok=True)
        with appearing_whole(folder / f"{name}_{step:06d}.png") as part:
            Image.fromarray(image).save(part, format="PNG")
        if self._board is not None:
            self._board.add_image(name, image, step, dataformats="HW")
        if self.view is not None:
            self.view.picture(step, name, image)

    def beat(self, step: int) -> None:
        """A step is done of which nothing is kept."""
        if self.view is not None:
            self.view.beat(step)

    def stopped(self, step: int) -> None:
        """Say that the time is over."""
        tell = self.say if self.view is None else self.view.note
        tell(
            f"{self.folder.name}: stopped at step {step:,} of {self._steps:,}, as the time is "
            "over; resumed, it goes on from here"
        )

    def close(self) -> None:
        """Write out what is pending, and leave the last drawing."""
        if self.view is not None:
            self.view.close()
        if self._board is not None:
            self._board.close()
            self._board = None

    def _keep(self, name: str, step: int, values: Mapping[str, float], *, prefix: str = "") -> None:
        path = self.folder / name
        columns, last = _columns_and_last_step(path)
        if last == step:  # judged again, as after a stop just before a checkpoint
            return
        if columns and not set(values) <= set(columns):
            columns = _widen(path, columns, values)
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(
                file, columns or ["step", *values], extrasaction="ignore", lineterminator="\n"
            )
            if not columns:
                writer.writeheader()
            writer.writerow({"step": step, **values})
        if self._board is not None:
            for what, value in values.items():
                self._board.add_scalar(prefix + what, value, step)


def _columns_and_last_step(path: Path) -> tuple[list[str], int]:
    if not path.exists():
        return [], -1
    head, *rows = path.read_text().splitlines() or [""]
    return head.split(",") if head else [], int(rows[-1].split(",", 1)[0]) if rows else -1


def _widen(path: Path, columns: list[str], values: Mapping[str, float]) -> list[str]:
    """Columns for what is new, as an adversary that begins late; empty in the rows before."""
    wider = [*columns, *(name for name in values if name not in columns)]
    rows = path.read_text().splitlines()[1:]
    ending = "," * (len(wider) - len(columns))
    lines = [",".join(wider), *(row + ending for row in rows)]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return wider


def _drop_rows_after(path: Path, step: int) -> None:
    """A line that a kill cut short goes too."""
    if not path.exists():
        return
    text = path.read_text()
    head, *rows = text[: text.rfind("\n") + 1].splitlines() or [""]
    kept = [row for row in rows if int(row.split(",", 1)[0]) <= step]
    write_text(path, "".join(f"{line}\n" for line in [head, *kept] if line))


def _open_board(folder: Path, step: int, *, say: Say) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        say(NO_TENSORBOARD)
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


def _in_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def duration_in_words(seconds: float) -> str:
    """A time in seconds, minutes or hours, as long as it is."""
    minutes, hours = round(seconds / 60), round(seconds / 3600, 1)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{hours:g} h"
