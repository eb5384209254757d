"""Folders of things that do not belong together, names and paths of any kind, odd arguments."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from benchmarks.odd_inputs.case import Build, Expect, OddInput
from benchmarks.odd_inputs.scans import (
    NUM_SLICES,
    SIDE,
    STEP_MM,
    Elements,
    classic,
    slice_file,
    uid,
    with_value,
    without,
    write_dataset,
    write_scan,
)

REFUSED, ACCEPTED, NOTED, EITHER = Expect.REFUSED, Expect.ACCEPTED, Expect.NOTED, Expect.EITHER
LAST = NUM_SLICES - 1
# As archives and media name files: with an ending, by number, by UID.
NAMES = ("IM{:04d}.dcm", "IM{}", "1.2.840.99999.7777.1.3.{}", "{:08d}", "I{:02d}.IMA")
OTHER_KINDS = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
    "RTDOSE": "1.2.840.10008.5.1.4.1.1.481.2",
    "SR": "1.2.840.10008.5.1.4.1.1.88.67",
    "PR": "1.2.840.10008.5.1.4.1.1.11.1",
    "KO": "1.2.840.10008.5.1.4.1.1.88.59",
    "DOC": "1.2.840.10008.5.1.4.1.1.104.1",
    "CT": "1.2.840.10008.5.1.4.1.1.7",
}
WITHOUT_PIXELS = ("RTSTRUCT", "SR", "PR", "KO", "DOC")


def inputs() -> Iterator[OddInput]:
    yield from _mixed()
    yield from _stray()
    yield from _unreadable()
    yield from _other_kinds()
    yield from _special_files()
    yield from _paths()
    yield from _arguments()


def _same(value: str, _: int) -> str:
    return value


def _edited(changes: Mapping[str, Callable[[int], str]], *, from_slice: int = 0) -> Build:
    """Build the scan with values that depend on the slice."""

    def edit(elements: Elements, index: int) -> Elements:
        for keyword, value in changes.items():
            if index >= from_slice:
                elements = with_value(elements, keyword, value(index))
        return elements

    return lambda folder: write_scan(folder, edit)


def _case(
    kind: str,
    name: str,
    build: Build,
    expect: Expect,
    *,
    slices: int | None = NUM_SLICES,
    arguments: tuple[str, ...] = (),
) -> OddInput:
    return OddInput(
        kind=kind, name=name, build=build, expect=expect, slices=slices, arguments=arguments
    )


# what belongs to different people, studies or places


def _mixed() -> Iterator[OddInput]:
    differing: dict[str, tuple[str, Expect]] = {
        "PatientID": ("OTHER99", REFUSED),
        "PatientName": ("Other^Person", REFUSED),
        "PatientBirthDate": ("19991231", REFUSED),
        "StudyInstanceUID": (uid(2), REFUSED),
        "FrameOfReferenceUID": (uid(2, 9), REFUSED),
        "Modality": ("MR", REFUSED),
        "SOPClassUID": ("1.2.840.10008.5.1.4.1.1.4", REFUSED),
        "ImageOrientationPatient": ("0\\1\\0\\0\\0\\-1", REFUSED),
        "PixelSpacing": ("3.4\\3.4", REFUSED),
        "ConvolutionKernel": ("SHARP", REFUSED),
        "PhotometricInterpretation": ("RGB", REFUSED),
        "PatientSex": ("F", EITHER),
        "AccessionNumber": ("OTHER", EITHER),
        "StudyDate": ("20250101", EITHER),
        "SliceThickness": ("1.0", EITHER),
        "RescaleIntercept": ("-1000", NOTED),
        "RescaleSlope": ("1.01", NOTED),
        "RescaleType": ("US", REFUSED),
        "KVP": ("80", EITHER),
        "Exposure": ("7", EITHER),
        "Manufacturer": ("Another", EITHER),
        "PatientPosition": ("FFP", EITHER),
        "BodyPartExamined": ("HEAD", EITHER),
        "ImageType": ("ORIGINAL\\PRIMARY\\LOCALIZER", REFUSED),
        "SeriesNumber": ("44", EITHER),
    }
    for keyword, (value, expect) in differing.items():
        for where, start in (("second half", NUM_SLICES // 2), ("last slice", LAST)):
            build = _edited({keyword: partial(_same, value)}, from_slice=start)
            yield _case("mixed", f"{keyword}, {where}", build, expect)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):

        def edit(elements: Elements, index: int, keyword: str = keyword) -> Elements:
            return without(elements, keyword) if index == LAST else elements

        yield _case(
            "mixed", f"{keyword} missing in one slice", partial(write_scan, edit=edit), EITHER
        )
    yield _case(
        "mixed",
        "a frame of reference of its own for every slice",
        _edited({"FrameOfReferenceUID": lambda i: uid(9, i)}),
        NOTED,
    )
    yield _case(
        "mixed",
        "two people and two studies",
        _edited({"PatientID": lambda i: f"P{i % 2}", "StudyInstanceUID": lambda i: uid(i % 2)}),
        REFUSED,
    )
    yield _case("mixed", "two matrix sizes", _two_sizes, REFUSED)
    yield _case("mixed", "two people in two series", _two_people_two_series, REFUSED)


def _two_sizes(folder: Path) -> Path:
    write_scan(folder)
    write_dataset(
        folder / f"IM{LAST:04d}.dcm", classic(LAST, hu=np.zeros((SIDE // 2, SIDE // 2), np.int16))
    )
    return folder


def _two_people_two_series(folder: Path) -> Path:
    write_scan(folder / "a")

    def other(elements: Elements, index: int) -> Elements:
        elements = with_value(elements, "PatientID", "OTHER99")
        elements = with_value(elements, "SeriesInstanceUID", uid(5))
        return with_value(elements, "SOPInstanceUID", uid(5, index))

    write_scan(folder / "b", other)
    return folder


# slices too many, too few, elsewhere


def _stray() -> Iterator[OddInput]:
    def moved(by_mm: float) -> Callable[[int], str]:
        return lambda index: f"-150\\-160\\{-700 + STEP_MM * index + by_mm}"

    kind = "stray and missing slices"
    yield _case(
        kind,
        "last slice far away",
        _edited({"ImagePositionPatient": moved(300)}, from_slice=LAST),
        REFUSED,
    )
    yield _case(
        kind,
        "last slice a little off",
        _edited({"ImagePositionPatient": moved(1.1)}, from_slice=LAST),
        REFUSED,
    )
    yield _case(
        kind,
        "last slice shifted sideways",
        _edited(
            {"ImagePositionPatient": lambda i: f"-120\\-160\\{-700 + STEP_MM * i}"}, from_slice=LAST
        ),
        REFUSED,
    )
    yield _case(
        kind,
        "two slices in one place",
        _edited(
            {"ImagePositionPatient": lambda i: f"-150\\-160\\{-700 + STEP_MM * (i - 1)}"},
            from_slice=LAST,
        ),
        REFUSED,
    )
    yield _case(
        kind,
        "all in one place",
        _edited({"ImagePositionPatient": lambda _: "-150\\-160\\-700"}),
        REFUSED,
    )
    yield _case(kind, "a gap", partial(_with_gap, num_slices=8), REFUSED)
    yield _case(
        kind,
        "a gap, largest run",
        partial(_with_gap, num_slices=8),
        NOTED,
        arguments=("--largest-run",),
    )
    yield _case(kind, "one slice of another series", _stray_series, REFUSED)
    yield _case(
        kind, "one slice of another series, where the rest is uneven", _stray_beside_uneven, REFUSED
    )
    yield _case(
        kind,
        "one localizer in the series",
        _edited({"ImageType": lambda _: "ORIGINAL\\PRIMARY\\LOCALIZER"}, from_slice=LAST),
        REFUSED,
    )
    yield _case(kind, "a copy of each file", _copies, ACCEPTED)
    yield _case(
        kind, "two files of one UID", _edited({"SOPInstanceUID": lambda _: uid(1, 3, 1)}), REFUSED
    )
    yield _case(
        kind, "one slice alone", lambda folder: write_scan(folder, num_slices=1), ACCEPTED, slices=1
    )
    yield _case(
        kind, "two slices", lambda folder: write_scan(folder, num_slices=2), ACCEPTED, slices=2
    )
    yield _case(
        kind,
        "slices in the reverse order",
        _edited({"ImagePositionPatient": lambda i: f"-150\\-160\\{700 - STEP_MM * i}"}),
        ACCEPTED,
    )
    yield _case(
        kind, "instance numbers all the same", _edited({"InstanceNumber": lambda _: "1"}), ACCEPTED
    )
    yield _case(
        kind,
        "a tilted gantry",
        _edited({"ImageOrientationPatient": lambda _: "1\\0\\0\\0\\0.97\\-0.2431"}),
        REFUSED,
    )
    yield _case(
        kind,
        "coronal slices",
        _edited(
            {
                "ImageOrientationPatient": lambda _: "1\\0\\0\\0\\0\\-1",
                "ImagePositionPatient": lambda i: f"-150\\{STEP_MM * i}\\0",
            }
        ),
        EITHER,
    )
    for size in (0.0, 1e-9, 1e7, -1e7):
        value = f"{size:g}"
        yield _case(
            kind,
            f"positions of {value} mm",
            _edited({"ImagePositionPatient": partial(_same, f"{value}\\{value}\\{value}")}),
            REFUSED,
        )


def _with_gap(folder: Path, num_slices: int) -> Path:
    write_scan(folder, _distinct, num_slices=num_slices)
    (folder / "IM0005.dcm").unlink()
    return folder


def _distinct(elements: Elements, index: int) -> Elements:
    """More slices than the scan has: positions and names of their own."""
    elements = with_value(elements, "SOPInstanceUID", uid(1, 3, index + 1))
    return with_value(elements, "ImagePositionPatient", f"-150\\-160\\{-700 + STEP_MM * index}")


def _strange(elements: Elements, index: int) -> Elements:
    elements = with_value(elements, "SeriesInstanceUID", uid(6))
    return with_value(elements, "SOPInstanceUID", uid(6, index))


def _stray_series(folder: Path) -> Path:
    return write_scan(folder, lambda e, i: _strange(e, i) if i == LAST else e)


def _stray_beside_uneven(folder: Path) -> Path:
    write_scan(
        folder,
        lambda e, i: _strange(_distinct(e, i), i) if i == 6 else _distinct(e, i),
        num_slices=7,
    )
    (folder / "IM0003.dcm").unlink()
    return folder


def _copies(folder: Path) -> Path:
    write_scan(folder)
    for path in list(folder.iterdir()):
        shutil.copy(path, folder / f"copy of {path.name}")
    return folder


# files that cannot be read


def _replaced(folder: Path, name: str, make: Callable[[Path], object], number: int) -> Path:
    write_scan(folder, name=name)
    path = folder / name.format(number)
    content = path.read_bytes()
    path.unlink()
    make(path)
    if path.is_file() and not path.is_symlink() and path.read_bytes() == b"ORIGINAL":
        path.write_bytes(content)
    return folder


def _unreadable() -> Iterator[OddInput]:
    whole = slice_file(LAST)
    faults: dict[str, Callable[[Path], object]] = {
        "empty": lambda path: path.write_bytes(b""),
        "zeroed": lambda path: path.write_bytes(bytes(len(whole))),
        "cut to 100 bytes": lambda path: path.write_bytes(whole[:100]),
        "cut to 131 bytes": lambda path: path.write_bytes(whole[:131]),
        "cut in the header": lambda path: path.write_bytes(whole[:700]),
        "cut in the pixels": lambda path: path.write_bytes(whole[:-5000]),
        "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(len(whole))),
        "of text": lambda path: path.write_text("404 not found\n" * 50),
        "a link that leads nowhere": lambda path: path.symlink_to(path.parent / "gone"),
        "a link to itself": lambda path: path.symlink_to(path.name),
    }
    if os.geteuid() != 0:  # root reads everything
        faults["without permission"] = lambda path: (path.touch(), path.chmod(0))  # type: ignore[func-returns-value]
    for name in NAMES:
        for what, make in faults.items():
            # What is not DICOM and has no name of it may be something else.
            is_other = what in ("of text", "noise") and not name.endswith((".dcm", ".IMA"))
            expect, slices = (EITHER, None) if is_other else (REFUSED, NUM_SLICES)
            for number in (0, LAST) if name == "IM{}" else (LAST,):
                yield _case(
                    "unreadable file",
                    f"{name}, file {number} {what}",
                    partial(_replaced, name=name, make=make, number=number),
                    expect,
                    slices=slices,
                )
    yield _case("unreadable file", "a note beside the scan", partial(_with_note), ACCEPTED)
    yield _case("unreadable file", "all of them", lambda f: write_zeros(f), REFUSED)
    yield _case(
        "unreadable file",
        "zeroed, largest run",
        partial(_replaced, name="IM{:04d}.dcm", make=faults["zeroed"], number=LAST),
        NOTED,
        arguments=("--largest-run",),
    )


def _with_note(folder: Path) -> Path:
    for name in (
        "README.txt",
        "LICENSE",
        "notes.pdf",
        ".DS_Store",
        "Thumbs.db",
        "report.html",
        "DICOMDIR",
    ):
        (folder / name).write_text("Zyxwvut wrote this.\n")
    return write_scan(folder)


def write_zeros(folder: Path) -> Path:
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(bytes(5000))
    return folder


# other modalities


def other_kind(modality: str) -> FileDataset:
    """An object of another kind with the identifiers of the scan."""
    dataset = classic(0)
    dataset.Modality = modality
    dataset.SOPClassUID = OTHER_KINDS[modality]
    dataset.file_meta.MediaStorageSOPClassUID = UID(OTHER_KINDS[modality])
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uid(7), uid(7, 1)
    dataset.SeriesNumber = 77
    if modality in WITHOUT_PIXELS:
        for keyword in ("PixelData", "Rows", "Columns", "PixelPaddingValue"):
            delattr(dataset, keyword)
    return dataset


def _other_kinds() -> Iterator[OddInput]:
    kind = "other modality"
    for modality in OTHER_KINDS:

        def alone(folder: Path, modality: str = modality) -> Path:
            write_dataset(folder / "other.dcm", other_kind(modality))
            return folder

        def beside(folder: Path, modality: str = modality) -> Path:
            write_dataset(folder / "other.dcm", other_kind(modality))
            return write_scan(folder)

        yield _case(kind, f"{modality} as {OTHER_KINDS[modality]}", alone, REFUSED)
        yield _case(kind, f"{modality} beside a scan", beside, ACCEPTED)
    made_by_us: dict[str, dict[str, Callable[[int], str]]] = {
        "a localizer": {"ImageType": lambda _: "ORIGINAL\\PRIMARY\\LOCALIZER"},
        "made by a model": {"ImageType": lambda _: "DERIVED\\SECONDARY\\AXIAL\\AI_ENHANCED"},
        "synthetic": {"SyntheticData": lambda _: "YES"},
        "without rescale type": {"RescaleType": lambda _: "US"},
    }
    for name, changes in made_by_us.items():
        yield _case(kind, name, _edited(changes), REFUSED)


# files that are none


def _special_files() -> Iterator[OddInput]:
    kind = "special file"

    def fifo(path: Path) -> None:
        os.mkfifo(path)

    def socket_file(path: Path) -> None:
        where = os.getcwd()
        os.chdir(path.parent)  # names of sockets are short
        try:
            socket.socket(socket.AF_UNIX).bind(path.name)
        finally:
            os.chdir(where)

    makers: dict[str, Callable[[Path], object]] = {
        "a pipe": fifo,
        "a socket": socket_file,
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to /dev/null": lambda path: path.symlink_to("/dev/null"),
        "a link to /proc/self/mem": lambda path: path.symlink_to("/proc/self/mem"),
        "a folder": lambda path: path.mkdir(),
        "a link to the folder above": lambda path: path.symlink_to(path.parent),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
    }
    for what, make in makers.items():
        for name in ("odd.dcm", "odd", "odd.nii", "odd.nii.gz", "odd.mha"):
            if name != "odd.dcm" and what == "a link to the folder above":
                continue

            def alone(
                folder: Path, make: Callable[[Path], object] = make, name: str = name
            ) -> Path:
                make(folder / name)
                return folder / name

            yield OddInput(
                kind=kind,
                name=f"{what} named {name}",
                build=alone,
                expect=REFUSED,
                commands=("series", "enhance")
                if "." not in name or name.endswith("dcm")
                else ("enhance",),
            )

        def beside(folder: Path, make: Callable[[Path], object] = make) -> Path:
            make(folder / "odd.dcm")
            return write_scan(folder)

        yield _case(kind, f"{what} beside a scan", beside, EITHER)
    yield _case(kind, "a scan behind a link", _behind_link, ACCEPTED)
    yield _case(kind, "files behind links", _links_to_files, ACCEPTED)
    yield _case(kind, "folders in a ring of links", _ring, ACCEPTED)
    yield _case(kind, "folders 60 deep", _deep, ACCEPTED)
    yield _case(kind, "an empty folder", lambda folder: folder, REFUSED)
    yield _case(kind, "empty folders in folders", _empty_folders, REFUSED)
    yield _case(kind, "5000 files that are none", _many_files, REFUSED)


def _behind_link(folder: Path) -> Path:
    write_scan(folder / "real")
    (folder / "link").symlink_to("real")
    return folder / "link"


def _links_to_files(folder: Path) -> Path:
    write_scan(folder / "real")
    (folder / "links").mkdir()
    for path in (folder / "real").iterdir():
        (folder / "links" / path.name).symlink_to(path)
    return folder / "links"


def _ring(folder: Path) -> Path:
    write_scan(folder / "a" / "b")
    (folder / "a" / "b" / "c").symlink_to(folder)
    return folder


def _deep(folder: Path) -> Path:
    write_scan(folder.joinpath(*["d"] * 60))
    return folder


def _empty_folders(folder: Path) -> Path:
    (folder / "a" / "b").mkdir(parents=True)
    return folder


def _many_files(folder: Path) -> Path:
    for number in range(5000):
        (folder / f"{number}.txt").touch()
    return folder


# names


def _paths() -> Iterator[OddInput]:
    kind = "odd name"
    good = {
        "spaces": "a scan of today",
        "unicode": "Ünïcødé 影像 🩻",
        "quotes": 'it\'s "quoted"',
        "brackets": "[red]scan[bold]",
        "a leading dash": "-scan",
        "two leading dashes": "--output",
        "a percent sign": "100%s %d {0} $HOME",
        "a backslash": "a\\b",
        "a line break": "a\nb",
        "a tab and a bell": "a\tb\x07",
        "an escape sequence": "\x1b[31mred",
        "a dot at its start": ".hidden",
        "an ending of volumes": "scan.nii",
        "255 characters": "x" * 255,
        "a star": "*?",
        "a tilde": "~",
        "bytes that are no text": "scan\udcff\udc80",
    }
    for what, name in good.items():

        def folder_of(folder: Path, name: str = name) -> Path:
            return write_scan(folder / name)

        yield _case(kind, f"folder: {what}", folder_of, ACCEPTED)
        if len(name) < 200:

            def files_of(folder: Path, name: str = name) -> Path:
                return write_scan(folder, name=name.replace("{0}", "") + "{}")

            yield _case(
                kind,
                f"files: {what}",
                files_of,
                EITHER if what in ("a dot at its start", "an ending of volumes") else ACCEPTED,
            )
    bad = {
        "NUL": "a\0b",
        "5,000 characters": "x" * 5000,
        "300 characters in a folder": "x" * 300,
        "5,000 folders": "x/" * 5000,
        "nothing": "",
        "a space": " ",
        "not there": "absent",
        "an address": "https://example.org/scan.dcm",
        "a file and more": "IM0000.dcm/more",
        "bytes that are no text": "absent\udcff",
        "NUL and an ending": "a\0b.nii",
        "5,000 characters and an ending": "x" * 5000 + ".nii.gz",
        "an unknown home": "~nobodyhere/scan",
    }
    for what, name in bad.items():

        def given(folder: Path, name: str = name) -> str:
            write_scan(folder)
            absolute = not name or name[0] in "~ h"
            return name if absolute else f"{folder}/{name}"

        yield OddInput(kind=kind, name=f"given: {what}", build=given, expect=REFUSED)


def _arguments() -> Iterator[OddInput]:
    kind = "odd argument"

    def with_options(
        name: str, expect: Expect, *options: str, slices: int | None = NUM_SLICES
    ) -> OddInput:
        return _case(
            kind, name, lambda folder: write_scan(folder), expect, slices=slices, arguments=options
        )

    for value in (
        "1",
        "0",
        "2",
        "99999999999999999999",
        "-1",
        "abc",
        "",
        " ",
        uid(1, 3),
        uid(9, 9),
        "7777",
        "\0",
        "x" * 5000,
        "../..",
    ):
        fits = value in ("1", uid(1, 3))
        yield with_options(
            f"--series {value[:20]!r}",
            ACCEPTED if fits else EITHER if value.strip() == "" else REFUSED,
            "--series",
            value,
        )
    for option, values in {
        "--strength": ("2", "-1", "nan", "inf", "abc", "", "1e-400"),
        "--seed": ("-1", "1.5", "abc", "99999999999999999999999"),
        "--samples": ("0", "-1", "x"),
        "--steps": ("0", "9", "x"),
        "--device": ("tpu", "cuda:99", "", "cpu:0\0"),
        "--limit": (
            "frames",
            "frames=",
            "frames=-1",
            "x=1",
            "elements=1",
            "frame_pixels=100",
            "items=\0",
        ),
        "--limits": ("/absent.toml", "/dev/null/x", "\0"),
        "--unknown": ("1",),
    }.items():
        for value in values:
            loose = (option, value) in (
                ("--seed", "-1"),
                ("--seed", "99999999999999999999999"),
                ("--strength", "1e-400"),
            )
            yield with_options(f"{option} {value!r}", EITHER if loose else REFUSED, option, value)
    for what, name in {
        "with spaces": "a result",
        "of unicode": "Ünïcødé 影像",
        "with brackets": "[red]x[bold]",
        "with a leading dash": "-out",
        "hidden": ".out",
    }.items():
        yield OddInput(
            kind=kind,
            name=f"output {what}",
            build=write_scan,
            expect=ACCEPTED,
            slices=NUM_SLICES,
            output=name,
            commands=("enhance",),
        )
    for what, name in {
        "of NUL": "a\0b",
        "of 300 characters": "x" * 300,
        "of 5,000 characters": "x" * 5000,
    }.items():
        yield OddInput(
            kind=kind,
            name=f"output {what}",
            build=write_scan,
            expect=REFUSED,
            output=name,
            commands=("enhance",),
        )
    yield OddInput(
        kind=kind,
        name="output of nothing",
        build=write_scan,
        expect=REFUSED,
        output="",
        commands=("enhance",),
    )
