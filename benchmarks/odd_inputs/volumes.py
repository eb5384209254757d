"""NIfTI and MetaImage files made wrong, byte by byte and line by line."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.odd_inputs.case import Expect, OddInput
from benchmarks.odd_inputs.pixels import grown
from benchmarks.odd_inputs.scans import NUM_SLICES, PIXEL_MM, SIDE, STEP_MM, trunk

REFUSED, ACCEPTED, EITHER = Expect.REFUSED, Expect.ACCEPTED, Expect.EITHER
HEADER_BYTES = 352
# Places in a NIfTI-1 header.
SIZES, TYPE, BITS, STEPS, OFFSET, SLOPE, UNITS = 40, 70, 72, 76, 108, 112, 123
QFORM_CODE, SFORM_CODE, QUATERNION, QOFFSET, ROWS, MAGIC = 252, 254, 256, 268, 280, 344
Bytes = Callable[[], bytes]


def inputs() -> Iterator[OddInput]:
    yield from _nifti_headers()
    yield from _nifti_values()
    yield from _nifti_files()
    yield from _meta_headers()
    yield from _meta_files()


def nifti(*changes: tuple[int, str, tuple[float, ...]], values: bytes | None = None) -> bytes:
    """The scan as NIfTI-1, with changes (place, format, numbers) of its header."""
    header = bytearray(HEADER_BYTES)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, SIZES, 3, SIDE, SIDE, NUM_SLICES, 1, 1, 1, 1)
    struct.pack_into("<2h", header, TYPE, 4, 16)
    struct.pack_into("<8f", header, STEPS, 1, PIXEL_MM, PIXEL_MM, STEP_MM, 0, 0, 0, 0)
    struct.pack_into("<3f", header, OFFSET, HEADER_BYTES, 1, 0)
    header[UNITS] = 2
    header[148:228] = b"Zyxwvut Quirin PLANTED77ID 19570311".ljust(80, b"\0")
    struct.pack_into("<2h", header, QFORM_CODE, 0, 1)
    rows = (PIXEL_MM, 0, 0, -150, 0, PIXEL_MM, 0, -160, 0, 0, STEP_MM, -700)
    struct.pack_into("<12f", header, ROWS, *rows)
    header[MAGIC : MAGIC + 4] = b"n+1\0"
    for place, form, numbers in changes:
        struct.pack_into("<" + form, header, place, *numbers)
    return bytes(header) + (trunk().astype("<i2").tobytes() if values is None else values)


def _case(
    kind: str, name: str, make: Bytes, expect: Expect, *, file: str = "Zyxwvut.nii"
) -> OddInput:
    def build(folder: Path) -> Path:
        (folder / file).write_bytes(make())
        return folder / file

    return OddInput(kind=kind, name=name, build=build, expect=expect, commands=("enhance",))


def _nifti_headers() -> Iterator[OddInput]:
    nan, inf = float("nan"), float("inf")
    faults: list[tuple[str, Expect, int, str, tuple[float, ...]]] = [
        ("as it should be", EITHER, UNITS, "b", (2,)),
        ("size of header 0", REFUSED, 0, "i", (0,)),
        ("size of header 540", REFUSED, 0, "i", (540,)),
        ("size of header -348", REFUSED, 0, "i", (-348,)),
        *[(f"{n} axes", REFUSED, SIZES, "h", (n,)) for n in (-1, 0, 1, 2, 4, 7, 8, 32767)],
        *[(f"{n} columns", REFUSED, SIZES + 2, "h", (n,)) for n in (-1, 0, 1, SIDE + 1, 32767)],
        *[(f"{n} slices", REFUSED, SIZES + 6, "h", (n,)) for n in (-4, 0, NUM_SLICES + 1, 32767)],
        ("32767 to the third", REFUSED, SIZES + 2, "3h", (32767, 32767, 32767)),
        ("800 x 1000 x 1300", REFUSED, SIZES + 2, "3h", (800, 1000, 1300)),
        *[
            (f"type {n}", REFUSED, TYPE, "h", (n,))
            for n in (-1, 0, 1, 2, 8, 16, 32, 64, 128, 255, 1536, 2304)
        ],
        ("type 512, 16 bits", EITHER, TYPE, "h", (512,)),
        *[(f"{n} bits", REFUSED, BITS, "h", (n,)) for n in (0, 8, 32, -16)],
        *[(f"spacing {n}", REFUSED, STEPS + 4, "f", (n,)) for n in (nan, inf, 0, -1, 1e-30, 1e30)],
        *[(f"offset {n}", REFUSED, OFFSET, "f", (n,)) for n in (nan, inf, -1, 0, 347, 1e9, 1e38)],
        ("offset 353", REFUSED, OFFSET, "f", (353,)),
        *[(f"slope {n}", REFUSED, SLOPE, "f", (n,)) for n in (nan, inf, 1e38)],
        ("slope 0", ACCEPTED, SLOPE, "f", (0,)),
        ("slope -1", EITHER, SLOPE, "f", (-1,)),
        ("slope 1000", EITHER, SLOPE, "f", (1000,)),
        *[(f"intercept {n}", REFUSED, SLOPE + 4, "f", (n,)) for n in (nan, inf)],
        ("intercept 9000", EITHER, SLOPE + 4, "f", (9000,)),
        *[
            (f"unit {n}", EITHER if n in (0, 8, 16) else REFUSED, UNITS, "b", (n,))
            for n in (0, 1, 3, 5, 8, 16)
        ],
        ("no transform", REFUSED, QFORM_CODE, "2h", (0, 0)),
        ("qform alone, all zero", EITHER, QFORM_CODE, "2h", (1, 0)),
        ("both, of different places", REFUSED, QFORM_CODE, "2h", (1, 1)),
        *[
            (f"quaternion of {n}", REFUSED, QFORM_CODE, "2h3f", (1, 0, n, 0, 0))
            for n in (nan, inf, 2)
        ],
        ("qform offset nan", REFUSED, QFORM_CODE, "2h6f", (1, 0, 0, 0, 0, nan, 0, 0)),
        *[(f"sform of {n}", REFUSED, ROWS, "f", (n,)) for n in (nan, inf, 0, 1e30, 2.0)],
        ("sform sheared", REFUSED, ROWS + 4, "f", (1.5,)),
        ("sform all zero", REFUSED, ROWS, "12f", (0,) * 12),
        ("sform place 1e30", EITHER, ROWS + 12, "f", (1e30,)),
        ("sform mirrored", EITHER, ROWS, "f", (-PIXEL_MM,)),
        ("magic ni1", REFUSED, MAGIC, "4s", (b"ni1\0",)),  # type: ignore[list-item]
        ("magic n+2", REFUSED, MAGIC, "4s", (b"n+2\0",)),  # type: ignore[list-item]
        ("no magic", REFUSED, MAGIC, "4s", (b"\0\0\0\0",)),  # type: ignore[list-item]
    ]
    for name, expect, place, form, numbers in faults:
        yield _case("NIfTI header", name, partial(nifti, (place, form, numbers)), expect)


def _nifti_values() -> Iterator[OddInput]:
    hu = trunk().astype("<f4")

    def with_values(change: Callable[[np.ndarray], object]) -> Bytes:
        def make() -> bytes:
            values = hu.copy()
            change(values)
            return nifti((TYPE, "2h", (16, 32)), values=values.tobytes())

        return make

    def put(number: float) -> Callable[[np.ndarray], object]:
        def change(values: np.ndarray) -> None:
            values[1, 5, 5] = number

        return change

    for name, change, expect in (
        ("float", lambda _: None, ACCEPTED),
        ("a nan", put(float("nan")), REFUSED),
        ("an infinity", put(float("inf")), REFUSED),
        ("all zero", lambda v: v.fill(0), REFUSED),
        ("all -1000", lambda v: v.fill(-1000), REFUSED),
        ("from -1 to 0", lambda v: v.__imul__(1e-3), EITHER),
        ("1e30", put(1e30), EITHER),
        ("-9999", put(-9999), EITHER),
    ):
        yield _case("volume values", name, with_values(change), expect)
    big_endian = bytearray(nifti())
    for place, form, count in (
        (0, "i", 1),
        (SIZES, "h", 8),
        (TYPE, "h", 2),
        (STEPS, "f", 8),
        (OFFSET, "f", 3),
        (QFORM_CODE, "h", 2),
        (ROWS, "f", 12),
    ):
        numbers = struct.unpack_from(f"<{count}{form}", big_endian, place)
        struct.pack_into(f">{count}{form}", big_endian, place, *numbers)
    content = bytes(big_endian[:HEADER_BYTES]) + trunk().astype(">i2").tobytes()
    yield _case("volume values", "big-endian", lambda: content, ACCEPTED)


def gzip_bomb(num_bytes: int, start: bytes = b"") -> bytes:
    """Zeros behind a beginning, as gzip; its checksum is wrong, which nobody shall come to see."""
    return grown(zlib.compressobj(9, wbits=31), start, num_bytes)


def declared_large(columns: int, rows: int, slices: int) -> bytes:
    """A header of so many voxels of a byte each, and nothing behind it."""
    return nifti((SIZES + 2, "3h", (columns, rows, slices)), (TYPE, "2h", (2, 8)), values=b"")


def _nifti_files() -> Iterator[OddInput]:
    whole = nifti()
    packed = gzip.compress(whole)
    kind, gz = "volume file", "Zyxwvut.nii.gz"
    for cut in (0, 4, 100, 347, 348, 352, 353, len(whole) // 2, len(whole) - 1):
        yield _case(kind, f"cut to {cut}", partial(bytes, whole[:cut]), REFUSED)
    for cut in (0, 1, 5, 10, 18, 200, len(packed) // 2, len(packed) - 8, len(packed) - 1):
        yield _case(kind, f"gzip cut to {cut}", partial(bytes, packed[:cut]), REFUSED, file=gz)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0x10
    many_names = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 4_000_000
    for name, content, expect in (
        ("gzip", packed, ACCEPTED),
        (
            "gzip of two members",
            gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]),
            ACCEPTED,
        ),
        ("gzip with zeros behind it", packed + bytes(100), ACCEPTED),
        ("gzip with noise behind it", packed + b"noise", EITHER),
        ("gzip with a flipped bit", bytes(flipped), REFUSED),
        ("gzip with another checksum", packed[:-8] + bytes(4) + packed[-4:], REFUSED),
        ("no gzip by that name", whole, REFUSED),
        ("gzip within gzip", gzip.compress(packed), REFUSED),
        ("gzip of nothing", gzip.compress(b""), REFUSED),
        ("gzip with a name of 4 MB", many_names, REFUSED),
    ):
        yield _case(kind, name, partial(bytes, content), expect, file=gz)
    yield _case(kind, "gzip by the name of a plain file", lambda: packed, REFUSED)
    yield _case(kind, "more behind the values", lambda: whole + bytes(10_000), EITHER)
    yield _case(kind, "gzip bomb of 2 GB", lambda: gzip_bomb(2**31), REFUSED, file=gz)
    yield _case(
        kind, "gzip bomb behind the values", lambda: gzip_bomb(2**30, whole), EITHER, file=gz
    )
    yield _case(
        kind,
        "gzip bomb of a header of 1.3 GB",
        lambda: gzip_bomb(2**22, declared_large(1200, 1200, 900)),
        REFUSED,
        file=gz,
    )
    yield _case(kind, "header of 1 GB", lambda: declared_large(1000, 1000, 1000), REFUSED)
    yield _case(kind, "text", lambda: b"no volume\n" * 100, REFUSED)
    yield _case(kind, "DICOM by that name", lambda: bytes(128) + b"DICM" + bytes(500), REFUSED)
    yield _case(kind, "ending alone", lambda: whole, EITHER, file=".nii")
    yield _case(kind, "ending in capitals", lambda: whole, ACCEPTED, file="Zyxwvut.NII")
    yield _case(kind, "ending of Analyze", lambda: whole, REFUSED, file="Zyxwvut.hdr")


def meta_header(**changes: str | None) -> str:
    """The header of the scan as MetaImage; None leaves a line out."""
    lines: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-150 -160 -700",
        "ElementSpacing": f"{PIXEL_MM} {PIXEL_MM} {STEP_MM}",
        "DimSize": f"{SIDE} {SIDE} {NUM_SLICES}",
        "ElementType": "MET_SHORT",
        **changes,
    }
    place = lines.pop("ElementDataFile", "LOCAL")
    text = [f"{name} = {value}" for name, value in lines.items() if value is not None]
    return "\n".join([*text, *([] if place is None else [f"ElementDataFile = {place}"]), ""])


def meta(values: bytes | None = None, **changes: str | None) -> bytes:
    """The scan as one MetaImage file."""
    content = trunk().astype("<i2").tobytes() if values is None else values
    return meta_header(**changes).encode("utf-8", "surrogateescape") + content


def _meta_headers() -> Iterator[OddInput]:
    faults: dict[str, tuple[Expect, tuple[str | None, ...]]] = {
        "ObjectType": (REFUSED, ("Tube", "")),
        "NDims": (REFUSED, (None, "2", "4", "-3", "x", "99999999999", "3 3", "³")),
        "DimSize": (
            REFUSED,
            (
                None,
                "",
                "96 96",
                f"{SIDE} {SIDE} 0",
                f"{SIDE} -{SIDE} 4",
                "x y z",
                "99999 99999 99999",
                f"{SIDE} {SIDE} 5",
                "1e2 96 4",
                "1000 1000 1000",
            ),
        ),
        "ElementSpacing": (
            REFUSED,
            (
                None,
                "",
                "1 1",
                "0 1 1",
                "-1 1 1",
                "nan 1 1",
                "inf 1 1",
                "a b c",
                "1e-320 1 1",
                "1 1 1 1",
            ),
        ),
        "TransformMatrix": (
            REFUSED,
            (
                None,
                "",
                "1 0 0",
                "0 0 0 0 0 0 0 0 0",
                "nan 0 0 0 1 0 0 0 1",
                "1 0.5 0 0 1 0 0 0 1",
                "a b c d e f g h i",
            ),
        ),
        "Offset": (REFUSED, (None, "", "1 2", "nan 0 0", "inf 0 0", "x y z")),
        "ElementType": (
            REFUSED,
            (None, "", "MET_OTHER", "MET_STRING", "MET_FLOAT", "MET_DOUBLE", "short"),
        ),
        "ElementNumberOfChannels": (REFUSED, ("3", "0", "-1", "x")),
        "CompressedData": (REFUSED, ("True",)),
        "DistanceUnits": (REFUSED, ("cm", "inch")),
        "ElementDataFile": (
            REFUSED,
            (
                None,
                "",
                "LIST",
                "LIST 2",
                "../../etc/passwd",
                "/etc/passwd",
                "absent.raw",
                ".",
                "..",
                "file%03d.raw 1 4 1",
                "x" * 5000,
                "a\0b",
            ),
        ),
        "BinaryData": (EITHER, ("False", "x")),
        "BinaryDataByteOrderMSB": (EITHER, ("True", "x")),
        "HeaderSize": (EITHER, ("-1", "100", "99999999", "x")),
        "CompressedDataSize": (EITHER, ("-1", "99999999999", "x")),
        "Comment": (EITHER, ("Zyxwvut", "x" * 90_000, "= = =")),
        "CenterOfRotation": (EITHER, ("nan nan nan", "1")),
        "AnatomicalOrientation": (EITHER, ("XYZ", "")),
    }
    for key, (expect, values) in faults.items():
        for value in values:
            shown = "missing" if value is None else repr(value[:24])
            yield _case(
                "MetaImage header",
                f"{key} {shown}",
                partial(meta, None, **{key: value}),
                expect,
                file="Zyxwvut.mha",
            )


def _meta_files() -> Iterator[OddInput]:
    whole = meta()
    kind, file = "MetaImage file", "Zyxwvut.mha"
    values = trunk().astype("<i2").tobytes()
    packed = zlib.compress(values)
    size = {"CompressedDataSize": str(len(packed))}
    head = len(meta_header())
    for cut in (0, 10, 100, head - 10, head, head + 100, len(whole) - 1):
        yield _case(kind, f"cut to {cut}", partial(bytes, whole[:cut]), REFUSED, file=file)
    yield _case(kind, "as it should be", lambda: whole, ACCEPTED, file=file)
    yield _case(
        kind, "compressed", lambda: meta(packed, CompressedData="True", **size), ACCEPTED, file=file
    )
    yield _case(
        kind,
        "compressed, cut",
        lambda: meta(packed[:-500], CompressedData="True", **size),
        REFUSED,
        file=file,
    )
    yield _case(
        kind,
        "compressed noise",
        lambda: meta(np.random.default_rng(0).bytes(len(packed)), CompressedData="True", **size),
        REFUSED,
        file=file,
    )
    yield _case(
        kind,
        "bomb of 1 GB",
        lambda: meta(packed, CompressedData="True", DimSize="1000 1000 500", **size),
        REFUSED,
        file=file,
    )
    yield _case(kind, "text", lambda: b"a = b\n" * 100, REFUSED, file=file)
    yield _case(kind, "one endless line", lambda: b"x" * 3_000_000, REFUSED, file=file)
    yield _case(kind, "a million lines", lambda: b"a = b\n" * 1_000_000, REFUSED, file=file)
    for name, make, expect in (
        ("values beside it", lambda path: path.write_bytes(values), ACCEPTED),
        ("values beside it, cut", lambda path: path.write_bytes(values[:-2]), REFUSED),
        ("values beside it, empty", lambda path: path.write_bytes(b""), REFUSED),
        ("values are a folder", lambda path: path.mkdir(), REFUSED),
        ("values are a link to /dev/zero", lambda path: path.symlink_to("/dev/zero"), REFUSED),
        ("values are missing", lambda path: None, REFUSED),
    ):

        def build(folder: Path, make: Callable[[Path], object] = make) -> Path:
            (folder / "Zyxwvut.mhd").write_text(meta_header(ElementDataFile="Zyxwvut.raw"))
            make(folder / "Zyxwvut.raw")
            return folder / "Zyxwvut.mhd"

        yield OddInput(kind=kind, name=name, build=build, expect=expect, commands=("enhance",))
