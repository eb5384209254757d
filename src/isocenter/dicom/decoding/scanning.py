"""Walk through a DICOM header without building anything: where its elements lie, and how many.

A library that builds data sets trusts what a file declares, and 300,000 empty items in 2 MB cost
minutes. Here only heads of elements are looked at and counted, declared lengths are held against
what the file has, and the walk ends at the first limit. It follows encodings as pydicom does, so
that both see the same elements.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from isocenter.core.errors import UnreadableInput
from isocenter.core.inflating import InflatedStream, size_up_to
from isocenter.core.limits import Limits, in_bytes

UNDEFINED_LENGTH = 0xFFFFFFFF
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
PIXEL_DATA = 0x7FE00010
SOP_CLASS_UID = 0x00080016
NUMBER_OF_FRAMES = 0x00280008
LAST_OF_THE_PIXELS = 0x0028FFFF
MOST_META_ELEMENTS = 200
MOST_META_BYTES = 2**20
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_WINDOW_BYTES = 2**16
_LONG_VRS = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)
# Explicit VR has no room for more in one text, number or list of them. Implicit VR has, and a
# library makes an object of every number.
_MOST_VALUE_BYTES = 2**16
_OF_SINGLE_VALUES = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO PN SH SL SS SV TM UC UI UL US UV".split()
)
_LEAST_FRAME_BYTES = 1024  # of pixels and header together, even where compressed

Stream = BinaryIO | InflatedStream


def malformed() -> UnreadableInput:
    """The refusal of a header whose parts do not fit into each other."""
    return UnreadableInput(
        "a header holds elements or sequences that do not end where they must; it is damaged or "
        "truncated: export the series again"
    )


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """The File Meta Information of a file.

    Attributes:
        transfer_syntax: "" where there is none.
        end: where the data set starts.
    """

    transfer_syntax: str
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Element:
    """An element of the top level: where its head begins, and its value begins and ends.

    ``end`` is None for a value of undefined length that holds pixels.
    """

    tag: int
    vr: str
    start: int
    value: int
    length: int
    end: int | None


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a walk found.

    Attributes:
        implicit, little_endian: how the data set is encoded.
        sop_class_uid: "" where it is not known.
        elements: those of the top level that were asked for, in the order of the file.
        pixels: the element that holds pixels, None where the walk ended without one.
        num_elements, num_items: nested ones included.
    """

    implicit: bool
    little_endian: bool
    sop_class_uid: str
    elements: tuple[Element, ...]
    pixels: Element | None
    num_elements: int
    num_items: int


def file_meta(file: BinaryIO) -> FileMeta:
    """Transfer syntax and the place where the data set starts.

    Raises:
        UnreadableInput: more than any file has there.
    """
    start = file.read(132)
    if start[128:] != b"DICM":
        file.seek(0)
    transfer_syntax = ""
    for _ in range(MOST_META_ELEMENTS):
        head = file.read(8)
        if len(head) < 8:
            return FileMeta(transfer_syntax=transfer_syntax, end=file.tell())
        group, element, vr, length = struct.unpack("<HH2sH", head)
        if group != 2:
            return FileMeta(transfer_syntax=transfer_syntax, end=file.tell() - 8)
        if vr in _LONG_VRS:
            length = int.from_bytes(file.read(4), "little")
        if file.tell() + length > MOST_META_BYTES:
            break
        value = file.read(length)
        if element == 0x0010:
            transfer_syntax = value.rstrip(b"\0 ").decode("ascii", "replace")
    raise malformed()


def scan_header(
    stream: Stream,
    *,
    start: int,
    transfer_syntax: str,
    limits: Limits,
    tags: Collection[int] | None = None,
    sop_classes: Collection[str] | None = None,
) -> Header:
    """Walk from the start of a data set to its pixels.

    Args:
        stream: of the whole file.
        start: where the data set begins.
        transfer_syntax: as the file meta has it, "" for none.
        limits: the walk ends beyond them.
        tags: elements of the top level to remember; None for all public ones.
        sop_classes: files of other kinds are walked up to group 0028 only. None walks all.

    Raises:
        UnreadableInput: beyond a limit, or lengths do not fit into each other or into the file.
    """
    walk = _Walk(_Window(stream), limits)
    start = walk.behind_commands(start)
    walk.choose_encoding(start, transfer_syntax)
    return walk.top_level(start, tags, sop_classes)


class _Window:
    """A stream, looked at through a piece that is kept in memory."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._start = 0
        self._piece = b""
        self._known_size = size_up_to(stream, 0)
        self.grows = isinstance(stream, InflatedStream)
        self.file_size = (
            stream.file_size if isinstance(stream, InflatedStream) else self._known_size
        )

    def at(self, place: int, count: int) -> bytes:
        """A few bytes, fewer only at the end of the stream."""
        index = place - self._start
        if index < 0 or index + count > len(self._piece):
            self._stream.seek(place)
            self._start, self._piece, index = place, self._stream.read(_WINDOW_BYTES), 0
        return self._piece[index : index + count]

    def holds(self, end: int) -> bool:
        """Whether the stream is that long."""
        if end > self._known_size and self.grows:
            self._known_size = size_up_to(self._stream, end)
        return end <= self._known_size


class _Head(NamedTuple):
    """What stands before a value; ``vr`` is "" where the encoding does not say."""

    tag: int
    vr: str
    length: int
    value: int


@dataclass
class _Level:
    """A sequence, or a data set within one, that is being walked through.

    Attributes:
        end: None where a delimiter ends it.
        is_sequence: its parts are items, not elements.
    """

    end: int | None
    is_sequence: bool
    implicit: bool


@dataclass
class _Walk:
    window: _Window
    limits: Limits
    implicit: bool = True
    order: str = "<"
    num_elements: int = 0
    num_items: int = 0
    num_frames: int = 0
    header_bytes: int = 0
    _levels: list[_Level] = field(default_factory=list)

    def behind_commands(self, place: int) -> int:
        """Past elements of group 0000, which some archives leave in; Implicit VR Little Endian."""
        while (head := self.window.at(place, 8))[:2] == b"\0\0" and len(head) == 8:
            self._count_element()
            place += 8 + int.from_bytes(head[4:], "little")
            self._check_fits(place)
        return place

    def choose_encoding(self, start: int, transfer_syntax: str) -> None:
        """As the transfer syntax says, and as the first element shows."""
        head = self.window.at(start, 6)
        looks_explicit = head[4:6].isalpha() and head[4:6].isupper()
        is_high_group = looks_explicit and int.from_bytes(head[:2], "little") >= 1024
        if transfer_syntax == ExplicitVRBigEndian or (not transfer_syntax and is_high_group):
            self.order = ">"
        self.implicit = not looks_explicit
        if len(head) < 6:
            self.implicit = transfer_syntax in ("", ImplicitVRLittleEndian)

    def top_level(
        self, place: int, tags: Collection[int] | None, sop_classes: Collection[str] | None
    ) -> Header:
        elements: list[Element] = []
        pixels = None
        sop_class = ""
        is_short = False
        while (head := self._head(place, self.implicit)) is not None:
            if head[0] == _ITEM_END or (is_short and head[0] > LAST_OF_THE_PIXELS):
                break
            element = self._element(place, head)
            if element.tag in PIXEL_TAGS:
                pixels = element
                break
            if element.tag == SOP_CLASS_UID:
                sop_class = self._text(element)
                is_short = sop_classes is not None and sop_class not in sop_classes
            elif element.tag == NUMBER_OF_FRAMES:
                self._believe_frames(self._text(element))
            is_private = element.tag >> 16 & 1
            if element.tag in tags if tags is not None else not is_private:
                elements.append(element)
                self._count_bytes(element)
            assert element.end is not None
            place = element.end
        return Header(
            implicit=self.implicit,
            little_endian=self.order == "<",
            sop_class_uid=sop_class,
            elements=tuple(elements),
            pixels=pixels,
            num_elements=self.num_elements,
            num_items=self.num_items,
        )

    def _text(self, element: Element) -> str:
        value = self.window.at(element.value, min(element.length, 64))
        return value.decode("ascii", "replace").strip("\0 ")

    def _believe_frames(self, text: str) -> None:
        """Allow for as many frames as are declared, and as the file may hold."""
        if text.isdecimal():
            possible = min(self.limits.frames, self.window.file_size // _LEAST_FRAME_BYTES)
            self.num_frames = min(int(text), possible)

    def _count_bytes(self, element: Element) -> None:
        assert element.end is not None
        self.header_bytes += element.end - element.start
        if self.header_bytes > self._most_header_bytes:
            raise self._too_large()

    @property
    def _most_header_bytes(self) -> int:
        return self.limits.header_bytes + self.limits.header_bytes_a_frame * self.num_frames

    def _too_large(self) -> UnreadableInput:
        return UnreadableInput(
            f"a header is larger than {in_bytes(self._most_header_bytes)}, more than any real one "
            "is; the file may be damaged (limit header_bytes)"
        )

    def _head(self, place: int, implicit: bool) -> _Head | None:
        """The head of an element; None at the end of the file."""
        head = self.window.at(place, 8)
        if len(head) < 8:
            return None
        group, number, vr, length = struct.unpack(self.order + "HH2sH", head)
        tag = group << 16 | number
        value = place + 8
        if implicit or not b"AA" <= vr <= b"ZZ":
            return _Head(tag, "", struct.unpack(self.order + "L", head[4:])[0], value)
        if vr in _LONG_VRS:
            long_length = self.window.at(value, 4)
            if len(long_length) < 4:
                raise malformed()
            length, value = struct.unpack(self.order + "L", long_length)[0], value + 4
        return _Head(tag, vr.decode("latin-1"), length, value)

    def _element(self, place: int, head: _Head) -> Element:
        """One element with all that is in it."""
        tag, vr, length, value = head
        self._count_element()
        end = None if tag in PIXEL_TAGS else self._value_end(head)
        return Element(tag=tag, vr=vr, start=place, value=value, length=length, end=end)

    def _value_end(self, head: _Head) -> int:
        end = self._defined_end(head)
        if self._holds_items(head):
            return self._walk_sequence(head.value, end, self.implicit)
        return self._end_of_fragments(head.value) if end is None else end

    def _defined_end(self, head: _Head) -> int | None:
        """Where a value ends whose length is defined."""
        tag, vr, length, value = head
        if length == UNDEFINED_LENGTH:
            return None
        self._check_fits(value + length)
        if length > _MOST_VALUE_BYTES:
            known = DicomDictionary.get(tag) if vr in ("", "UN") else None
            if (known[0] if known else vr) in _OF_SINGLE_VALUES:
                raise malformed()
        return value + length

    def _check_fits(self, end: int) -> None:
        """Refuse what ends behind the file; a deflated one is not inflated for longer headers."""
        if self.window.grows and end > self._most_header_bytes:
            raise self._too_large()
        if not self.window.holds(end):
            raise UnreadableInput(
                "a header declares more bytes than the file holds; it is damaged or truncated: "
                "export the series again"
            )

    def _holds_items(self, head: _Head) -> bool:
        """Whether a library may take a value for a sequence."""
        tag, vr, length, value = head
        if vr == "SQ":
            return length > 0
        if vr not in ("", "UN") or length < 8:
            return False
        known = DicomDictionary.get(tag)
        if known is not None and not (vr == "UN" and length == UNDEFINED_LENGTH):
            return known[0] == "SQ"
        if length != UNDEFINED_LENGTH:
            return False
        return vr == "UN" or self._tag_at(value) == _ITEM

    def _tag_at(self, place: int) -> int:
        head = self.window.at(place, 4)
        if len(head) < 4:
            return 0
        group, number = struct.unpack(self.order + "HH", head)
        return int(group) << 16 | int(number)

    def _walk_sequence(self, place: int, end: int | None, implicit: bool) -> int:
        """Through all items and what is nested in them; where the sequence ends."""
        outer = len(self._levels)
        self._push(_Level(end, is_sequence=True, implicit=implicit))
        while len(self._levels) > outer:
            level = self._levels[-1]
            if level.end is not None and place >= level.end:
                if place > level.end:
                    raise malformed()
                self._levels.pop()
            elif level.is_sequence:
                place = self._next_item(place, level)
            else:
                place = self._next_nested(place, level)
        return place

    def _next_item(self, place: int, sequence: _Level) -> int:
        head = self.window.at(place, 8)
        if len(head) < 8:
            raise malformed()
        group, number, length = struct.unpack(self.order + "HHL", head)
        tag, place = group << 16 | number, place + 8
        if tag == _SEQUENCE_END:
            self._levels.pop()
            return place if sequence.end is None else sequence.end
        if tag != _ITEM:
            raise malformed()
        self._count_item()
        end = None if length == UNDEFINED_LENGTH else place + length
        if end is not None:
            self._check_fits(end)
        implicit = sequence.implicit or not self._looks_explicit(place)
        self._push(_Level(end, is_sequence=False, implicit=implicit))
        return place

    def _looks_explicit(self, place: int) -> bool:
        vr = self.window.at(place, 6)[4:6]
        return len(vr) < 2 or (0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B)

    def _next_nested(self, place: int, level: _Level) -> int:
        head = self._head(place, level.implicit)
        if head is None:
            raise malformed()
        if head.tag == _ITEM_END:
            self._levels.pop()
            return head.value if level.end is None else level.end
        self._count_element()
        end = self._defined_end(head)
        if self._holds_items(head):
            self._push(_Level(end, is_sequence=True, implicit=level.implicit))
            return head.value
        return self._end_of_fragments(head.value) if end is None else end

    def _end_of_fragments(self, place: int) -> int:
        """Past a value of undefined length that is no sequence: fragments and a delimiter."""
        while True:
            head = self.window.at(place, 8)
            if len(head) < 8:
                raise malformed()
            group, number, length = struct.unpack(self.order + "HHL", head)
            tag, place = group << 16 | number, place + 8
            if tag == _SEQUENCE_END:
                return place
            if tag != _ITEM:
                raise malformed()
            self._check_fits(place + length)
            self._count_item()
            place += length

    def _push(self, level: _Level) -> None:
        self._levels.append(level)
        depth = sum(one.is_sequence for one in self._levels) if len(self._levels) > 8 else 0
        if depth > self.limits.nesting:
            raise UnreadableInput(
                f"a header nests sequences more than {self.limits.nesting} deep; the file is "
                "damaged (limit nesting)"
            )

    def _count_element(self) -> None:
        self.num_elements += 1
        allowed = self.limits.elements + self.limits.elements_a_frame * self.num_frames
        if self.num_elements > allowed:
            raise _too_many("elements", allowed)

    def _count_item(self) -> None:
        self.num_items += 1
        allowed = self.limits.items + self.limits.items_a_frame * self.num_frames
        if self.num_items > allowed:
            raise _too_many("items", allowed)


def _too_many(what: str, allowed: int) -> UnreadableInput:
    return UnreadableInput(
        f"a header holds more than {allowed} {what}, more than any real one; the file may be "
        f"damaged (limit {what})"
    )
