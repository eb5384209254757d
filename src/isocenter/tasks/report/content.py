"""What a page says, piece by piece; a task's observer fills it, the template draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Look:
    """A place in the viewer, behind a link.

    Attributes:
        text: of the link.
        stack, frame: which picture.
        layer: key of the layer, or "swipe" or "side".
        window: name of the window; "" keeps the one that is set.
        at: row and column to go to; None shows the whole picture.
    """

    text: str
    stack: int = 0
    frame: int
    layer: str
    window: str = ""
    at: tuple[int, int] | None = None

    @property
    def target(self) -> dict[str, Any]:
        """What the viewer is told, ready for JSON."""
        told = {"stack": self.stack, "frame": self.frame, "layer": self.layer}
        return told | {"window": self.window, "at": self.at and list(self.at)}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was checked on this result.

    Attributes:
        question: what was asked.
        answer: what was found, in words.
        passed: None where it could not be judged.
        advice: what to do where it did not pass.
        looks: where to look then.
    """

    question: str
    answer: str
    passed: bool | None
    advice: str = ""
    looks: tuple[Look, ...] = ()


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
        mark: words over the picture, such as that a model made it; "" for none.
    """

    title: str
    label: str
    picture: str
    bar: str
    ticks: tuple[str, str, str]
    description: str
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """One slice: rows of panels.

    Attributes:
        heading: such as "Slice 3 of 40".
        rows: panels of the same place.
        aspect: width to height of each.
        sides: letters for left, right, top and bottom of the patient.
    """

    heading: str
    rows: tuple[tuple[Panel, ...], ...]
    aspect: float
    sides: tuple[str, str, str, str]
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One of the pictures that a viewer can show of a place.

    Attributes:
        key: stable name.
        letter: the key on the keyboard.
        name: on its button.
        of: keys of the planes that it is made of: one, or two of which the second is subtracted.
        mark: words drawn on the picture, such as that a model made it; "" for none.
        palette: name of its colors; "" for gray under the window that the reader sets.
        low, high: values of the first and last color; without meaning for gray.
        caption: what the colors say, in words.
        sign: "+" or "±" before a value that has none of its own; "" for none.
        digits: decimals of a value.
    """

    key: str
    letter: str
    name: str
    of: tuple[str, ...]
    mark: str = ""
    palette: str = ""
    low: float = 0.0
    high: float = 1.0
    caption: str = ""
    sign: str = ""
    digits: int = 0


@dataclass(frozen=True, kw_only=True)
class Window:
    """A range of values shown in gray, as radiologists name it."""

    name: str
    center: float
    width: float

    @property
    def limits(self) -> tuple[float, float]:
        """Values of black and white."""
        return self.center - self.width / 2, self.center + self.width / 2


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Values of one picture, packed by :func:`isocenter.tasks.report.viewer.packed`.

    Attributes:
        data: base64 text.
        step: what a stored step of one is worth.
    """

    data: str
    step: float


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One place, with everything that can be shown of it.

    Attributes:
        heading: such as "Slice 3 of 40".
        shape, spacing_mm: rows and columns.
        sides: letters for left, right, top and bottom of the patient.
        planes: by key.
        lines: rows in which the frames of the first stack lie; empty for none.
    """

    heading: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    sides: tuple[str, str, str, str]
    planes: Mapping[str, Plane]
    lines: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Frames of one orientation, in order.

    Attributes:
        name: such as "Axial".
        frames: of one shape.
        focus: rows and columns that are seen at first: top, left, bottom, right.
        start: number of the frame that is seen at first.
    """

    name: str
    frames: tuple[Frame, ...]
    focus: tuple[int, int, int, int]
    start: int = 0


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Pictures at full resolution that the reader moves through; one a page.

    Attributes:
        unit: of all values.
        layers: before and after come first.
        windows: of the gray layers; the first is set at first.
        stacks: at least one.
        start: key of the layer that is seen at first.
        instead: pictures for paper and where no script runs.
    """

    unit: str
    layers: tuple[Layer, ...]
    windows: tuple[Window, ...]
    stacks: tuple[Stack, ...]
    start: str
    instead: tuple[Pictures, ...]
    kind: ClassVar[str] = "viewer"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Places to look at first, each behind a link and with a few words."""

    places: tuple[tuple[Look, str], ...]
    kind: ClassVar[str] = "places"


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


Part = Paragraph | Pictures | Viewer | Places | Plots | Table | Facts


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
