"""What a task says of itself: what it reads, what it accepts, what it gives.

A task is declared once, in ``tasks/NAME/task.py``, without loading anything heavy: its functions
import what they need when they are called. :func:`isocenter.tasks.run.run` does the rest for every
task alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from isocenter.core.outputs import Output
from isocenter.tasks.settings import S
from isocenter.tasks.suitability import Suitability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from isocenter.core.acquisition import Acquisition
    from isocenter.core.limits import Limits
    from isocenter.core.volume import Geometry, SliceSource
    from isocenter.tasks.report.content import Page


class StudyOpener(Protocol):
    """Opens several scans of one path."""

    def __call__(
        self, path: Path, /, *, series: str | None, largest_run: bool, limits: Limits
    ) -> Mapping[str, SliceSource]:
        """The scans by name, in order; the first one's notes and files seen are those of all.

        Args:
            path: a file, folder or tree.
            series: which series, as the user names them; None where nothing was named.
            largest_run: take the largest even run where slices are missing.
            limits: what it may cost.

        Raises:
            InputRefused: what is there cannot be worked on.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Reads:
    """One scan that a task reads.

    Attributes:
        name: of the argument, such as "input" or "flair".
        what: in words, for the help of the command.
        modality: DICOM Modality, which decides who opens it; "" takes what comes.
        unit: that its values must be in, as :class:`isocenter.core.volume.Volume` names it.
        optional: whether the task can do without it.
        opener: opens a path that holds several scans, such as a study; None where it is one.
    """

    name: str
    what: str
    modality: str
    unit: str
    optional: bool = False
    opener: StudyOpener | None = None


class Model(Protocol):
    """What a record says of a model; what the task does with it is between the two.

    Attributes:
        name, version: as the card names it.
        weights_sha256: digest over everything on disk that decides a pixel.
        card: facts for people, ready for JSON.
    """

    name: str
    version: str
    weights_sha256: str
    card: dict[str, Any]


M = TypeVar("M")


@dataclass(frozen=True, kw_only=True)
class Case(Generic[S, M]):
    """What one run was given, opened and checked.

    Attributes:
        scans: by name of what the task reads, or of what its opener found there; what is optional
            and was not given is left out.
        settings: as the user set them.
        model: what ``load_model`` of the task gave, or what the caller gave in its place.
    """

    scans: Mapping[str, SliceSource]
    settings: S
    model: M

    @property
    def scan(self) -> SliceSource:
        """The first scan; the only one of most tasks."""
        return next(iter(self.scans.values()))


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """Everything about one slice of the result.

    Attributes:
        index: place in the result, from 0.
        values: (row, column) by name of the output: numbers in its unit, for a mask booleans.
        before: (row, column), the slice of the first scan in the same place; None where there is no
            such slice.
        valid: (row, column), False where nothing was measured; None where all was.
    """

    index: int
    values: Mapping[str, NDArray]
    before: NDArray | None = None
    valid: NDArray | None = None


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen of a result.

    Attributes:
        facts: for the record, ready for JSON.
        page: for the report.
    """

    facts: dict[str, Any]
    page: Page


class Observer(Protocol):
    """Sees every slice of a result on its way, and keeps little of it."""

    def take(self, result: SliceResult, /) -> None:
        """Look at one slice; slices come in order."""
        ...

    def observed(self, num_clipped: Mapping[str, int], /) -> Observed:
        """What was seen.

        Args:
            num_clipped: by name of the output, how many values did not fit what the file can store.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Work(Generic[S]):
    """What a run is about to do: known before the first slice, as it decides every UID.

    Attributes:
        results: one a slice, in order; nothing is computed before it is asked for.
        description: one sentence on the method, which every DICOM object carries.
        settings: the user's, with what was guessed in its place.
        notes: what was guessed, in words.
        observer: fills the report; None takes the general one.
        context: neighbouring slices on each side that a slice is computed from.
        geometry: where the slices of the result lie; None takes that of the first scan.
        acquisition: what a new series says of its making; None takes that of the first scan.
        calculated: a formula gives every value from what was acquired, so nothing is artificial.
    """

    results: Iterable[SliceResult]
    description: str
    settings: S
    notes: tuple[str, ...] = ()
    observer: Observer | None = None
    context: int = 0
    geometry: Geometry | None = None
    acquisition: Acquisition | None = None
    calculated: bool = False


@dataclass(frozen=True, kw_only=True)
class Task(Generic[S, M]):
    """A way from scans to results.

    Attributes:
        name: stable, in records, such as "ct_enhance".
        command: of the command line and of the call in Python, such as "enhance".
        doing: what stands before the bar of its progress; "" takes that of the command.
        summary: one sentence on what it does, the help of the command.
        settings: class of its settings.
        outputs: what it writes, each into a folder of its own.
        start: says what will be done with an accepted case.
        reads: scans in the order of the arguments; none for a task that makes images from nothing.
        judge_header: what headers alone tell against the scans, before a pixel is decoded.
        judge: measures the scans; a finding that does not fit refuses them, unless forced. None
            accepts every scan of the right modality and unit.
        load_model: loads a model folder, or the shipped weights for None, onto a device; None for a
            task without a model.
    """

    name: str
    command: str
    summary: str
    settings: type[S]
    outputs: tuple[Output, ...]
    start: Callable[[Case[S, M], Suitability], Work[S]]
    reads: tuple[Reads, ...] = ()
    judge_header: Callable[[Case[S, M]], Suitability] | None = None
    judge: Callable[[Case[S, M]], Suitability] | None = None
    load_model: Callable[[Path | None, str], M] | None = field(default=None)
    doing: str = ""
