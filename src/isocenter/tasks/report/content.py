"""What a page says, piece by piece; a task's observer fills it, the template draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was checked on this result.

    Attributes:
        question: what was asked.
        answer: what was found, in words.
        passed: None where it could not be judged.
    """

    question: str
    answer: str
    passed: bool | None


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One figure that is seen first.

    Attributes:
        value: a few characters with their unit.
        meaning: what it is, in words.
    """

    value: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Words; small ones for a note on how to read what stands above."""

    text: str
    note: bool = True
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One image with all that its legend says.

    Attributes:
        title: such as "Before".
        label: what is shown, such as "soft-tissue window".
        picture, bar: data URIs of the image and of its colors.
        ticks: values at the start, middle and end of the bar, the last with the unit.
        description: for those who do not see it.
    """

    title: str
    label: str
    picture: str
    bar: str
    ticks: tuple[str, str, str]
    description: str


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """One slice: rows of panels.

    Attributes:
        heading: such as "Slice 3 of 40".
        rows: panels of the same place.
        aspect: width to height of each.
        sides: letters for left, right, top and bottom of the patient.
        pixels: whether single pixels shall be seen.
    """

    heading: str
    rows: tuple[tuple[Panel, ...], ...]
    aspect: float
    sides: tuple[str, str, str, str]
    pixels: bool = False
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One drawing of curves.

    Attributes:
        title, caption: above it.
        svg: the drawing, from :func:`isocenter.tasks.report.plots.line_plot`.
    """

    title: str
    caption: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Plots:
    """Drawings beside each other."""

    plots: tuple[Plot, ...]
    kind: ClassVar[str] = "plots"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of texts; all columns but the first hold numbers.

    Attributes:
        columns: headings.
        rows: as many texts as there are columns.
        strong: number of the column that is read first; None where there is none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: int | None = None
    kind: ClassVar[str] = "table"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A value of a model's card, with its parts, under a heading."""

    heading: str
    value: Any
    kind: ClassVar[str] = "facts"


Part = Paragraph | Pictures | Plots | Table | Facts


@dataclass(frozen=True, kw_only=True)
class Section:
    """A numbered part of the page."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that a task says of one result.

    Attributes:
        title: of the page.
        banner: one sentence beside the warning that this is not for diagnosis.
        headline: what happened, in one or two plain sentences.
        checks: of this result; the page adds the one whether the task accepts the scan.
        caution: what the checks cannot show.
        tiles: figures that are seen first.
        sections: in order; the page adds the rules, the model and how to make the result again.
        rules_note: how the rules were measured.
        forced_note: what does not hold for a scan that was forced.
        shown_of_card: entries of the card that stand in a section already.
        setting_notes: what a setting means, by its name.
    """

    title: str
    banner: str
    headline: str
    checks: tuple[Check, ...]
    caution: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    rules_note: str = ""
    forced_note: str = ""
    shown_of_card: tuple[str, ...] = ()
    setting_notes: Mapping[str, str] | None = None
