"""No slice vanishes in silence, and every file below an input is counted once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

import isocenter
from isocenter.core.errors import UnreadableInput, UnsuitableScan
from isocenter.core.limits import Limits
from isocenter.dicom.reading.lost_files import shapes_of_name
from isocenter.dicom.reading.open import find_series, open_ct_series

Write = Callable[..., Any]
Close = Callable[[Path], None]
NOBODY = 65534
PLACES = {"first": 0, "middle": 2, "last": 4}

NAMES: dict[str, Callable[[int], str]] = {
    "a UID": lambda index: f"1.2.840.113619.2.55.{index * 7 + 3}.{10**index}",
    "a UID that ends in .dcm": lambda index: f"1.2.840.113619.{index}.dcm",
    "IM3": lambda index: f"IM{index + 1}",
    "I1000000": lambda index: f"I1{index:06d}",
    "IMG-0001-00003.dcm": lambda index: f"IMG-0001-{index + 1:05d}.dcm",
    "1-05.dcm": lambda index: f"1-{index + 1:02d}.dcm",
    "scan.ima": lambda index: f"SCAN.CT.{index}.2020.IMA",
    "CT.UID.img": lambda index: f"CT.{generate_uid(entropy_srcs=[str(index)])}.img",
    "number": lambda index: f"{index + 8}",
    "ending that counts": lambda index: f"slice.{index:03d}",
    "digest": lambda index: ["8A3BCC01", "00FF1122", "10293847", "DEADBEEF", "5E5E5E5E"][index],
    "digest with a prefix": lambda index: (
        f"CT_{['8a3bcc01', 'deadbeef', '10293847'][index % 3]}{index}"
    ),
    "UUID": lambda index: f"3f2504e0-4f89-41d3-9a0c-0305e82c330{'0123f'[index]}",
    "code": lambda index: ["Z9KX0", "A1B2Q", "QQ7PL", "M0N1X", "XY3ZZ"][index],
}


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut_to_131(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:131])


def cut_to_1(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400])


def replaced_by_text(path: Path) -> None:
    path.write_text("<html><body>504 Gateway Time-out</body></html>" * 9)


def linked_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone" / "away")


def made_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = [emptied, zeroed, cut_to_131, cut_to_1, cut_in_the_header, replaced_by_text]
CLOSINGS = [linked_to_nothing, made_a_pipe]


@pytest.fixture
def write(write_classic_ct: Write) -> Write:
    """Five small slices in order, named by a function of their place."""

    def small(name: Callable[[int], str] = NAMES["IM3"], **options: Any) -> Any:
        scan = write_classic_ct(**{"shape": (5, 8, 8), "shuffle": False} | options)
        for index, file in enumerate(scan.files):
            scan.files[index] = file.rename(scan.folder / name(index))
        return scan

    return small


def assert_refused_and_counted(scan: Any, lost: tuple[int, int], place: int) -> None:
    """Refused for what was lost; by the largest run the rest goes on, and all files are counted."""
    with pytest.raises(UnsuitableScan) as info:
        open_ct_series(scan.folder)
    message = str(info.value)
    words = "1 file is damaged or empty" if lost == (1, 0) else "1 file or folder cannot be opened"
    assert f"{words} beside the 4 readable ones" in message
    assert "--largest-run (largest_run=True in Python)" in message
    names = {"uneven_slices"} if place == 2 else {"damaged_files", "unreadable_files"}
    assert info.value.reason in names
    assert not any(path.name in message for path in scan.files)
    (summary,) = find_series(scan.folder)
    assert (summary.fits, (summary.num_damaged, summary.num_unreadable)) == (False, lost)
    rest = open_ct_series(scan.folder, run="largest")
    assert words in rest.notes[0]
    assert rest.files_seen is not None
    used = len(rest)
    assert astuple(rest.files_seen) == (used, 4 - used, *lost)
    assert used == (2 if place == 2 else 4)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_image_is_told_by_its_name(
    write: Write, name: str, damage: Callable[[Path], None], place: int
) -> None:
    scan = write(NAMES[name])
    damage(scan.files[place])
    assert_refused_and_counted(scan, (1, 0), place)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_opened_is_told_by_its_name(
    write: Write, name: str, closing: Callable[[Path], None], place: int
) -> None:
    scan = write(NAMES[name])
    closing(scan.files[place])
    assert_refused_and_counted(scan, (0, 1), place)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_what_may_not_be_opened_is_told_by_its_name(
    write: Write, close: Close, name: str, place: int
) -> None:
    scan = write(NAMES[name])
    close(scan.files[place])
    assert_refused_and_counted(scan, (0, 1), place)


NO_IMAGES = """
README README.txt readme.md LICENSE notes.json DICOMDIR dicomdir .DS_Store ._IM3 .IM3.swp Thumbs.db
desktop.ini AUTORUN.INF MD5SUMS sha256sums.txt checksum.md5 export.zip IM3.json IM3.xml IM3.txt
IM3.jpg IM3.gz 1.2.840.113.xml 1.2.3.json VERSION LOCKFILE INDEX INDEX.HTM viewer.exe report.pdf
manifest metadata.csv scan.nii.gz segmentation.nrrd settings notes IM3.dcm.bak IM2.dcm~
""".split()


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_was_never_an_image_refuses_nothing(write: Write, close: Close, name: str) -> None:
    for number, spoil in enumerate((emptied, replaced_by_text, linked_to_nothing, close)):
        scan = write(folder=write().folder.with_name(f"scan{number}"))
        path = scan.folder / name
        path.write_bytes(b"")
        spoil(path)
        series = open_ct_series(scan.folder)
        assert series.notes == ()
        assert series.files_seen is not None
        assert astuple(series.files_seen) == (5, 1, 0, 0)


@pytest.mark.parametrize("name", ["IM6", "IM0006", "IM6.dcm", "other.dcm", "IM7.IMA", "IM6.part"])
@pytest.mark.parametrize("damage", [emptied, zeroed, linked_to_nothing])
def test_a_file_more_than_the_even_slices_is_not_passed_over(
    write: Write, damage: Callable[[Path], None], name: str
) -> None:
    scan = write()
    path = scan.folder / name
    path.write_bytes(bytes(3000))
    damage(path)
    with pytest.raises(UnsuitableScan, match="beside the 5 readable ones of this series"):
        open_ct_series(scan.folder)


def test_what_a_copy_leaves_of_a_file_that_came_through_is_no_loss(write: Write) -> None:
    scan = write()
    (scan.folder / "IM5.part").write_bytes(bytes(300))
    assert len(open_ct_series(scan.folder)) == 5


def test_a_closed_folder_hides_slices(write: Write, close: Close) -> None:
    scan = write()
    hidden = scan.folder / "more"
    hidden.mkdir()
    close(hidden)
    with pytest.raises(UnsuitableScan, match="1 file or folder cannot be opened") as info:
        open_ct_series(scan.folder)
    assert info.value.reason == "unreadable_files"
    rest = open_ct_series(scan.folder, run="largest")
    assert rest.files_seen is not None
    assert astuple(rest.files_seen) == (5, 0, 0, 1)


@pytest.mark.parametrize("name", [".Trash-0", "lost+found", "System Volume Information"])
def test_a_folder_that_systems_close_hides_none(write: Write, close: Close, name: str) -> None:
    scan = write()
    (scan.folder / name).mkdir()
    close(scan.folder / name)
    assert len(open_ct_series(scan.folder)) == 5


@pytest.mark.parametrize("damage", [emptied, zeroed, linked_to_nothing])
def test_images_that_have_a_folder_each(
    write: Write, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    scan = write()
    for index, file in enumerate(scan.files):
        folder = scan.folder / f"{index:04d}"
        folder.mkdir()
        scan.files[index] = file.rename(folder / "IM")
    damage(scan.files[4])
    with pytest.raises(UnsuitableScan, match="beside the 4 readable ones"):
        open_ct_series(scan.folder)


def test_a_damaged_file_refuses_the_series_beside_it_alone(write: Write, tmp_path: Path) -> None:
    for seed in (1, 2):
        write(folder=tmp_path / "tree" / str(seed), seed=seed)
    (tmp_path / "tree" / "1" / "IM9").write_bytes(b"")
    assert [one.fits for one in find_series(tmp_path / "tree")].count(True) == 1
    series = open_ct_series(tmp_path / "tree" / "2")
    assert series.files_seen is not None
    assert astuple(series.files_seen) == (5, 0, 0, 0)


def test_of_several_series_each_is_counted_for_itself(write: Write, tmp_path: Path) -> None:
    for seed in (1, 2):
        write(folder=tmp_path / "tree" / str(seed), seed=seed)
    scan = write(folder=tmp_path / "tree" / "1", seed=1)
    shutil.copy(scan.files[0], scan.folder / "copy")
    (tmp_path / "tree" / "README").write_text("about")
    (tmp_path / "tree" / "2" / "IM9").write_bytes(b"")
    first = next(one for one in find_series(tmp_path / "tree") if one.fits)
    series = open_ct_series(tmp_path / "tree", series=first.key)
    assert series.files_seen is not None
    assert astuple(series.files_seen) == (5, 7, 1, 0)
    assert series.files_seen.in_words() == (
        "13 files were seen: 5 used, 7 other, 1 damaged, 0 unreadable."
    )
    assert series.notes == (
        "1 file is a copy of other files of the series, byte for byte, and left out.",
    )


def test_objects_without_a_series_are_other_unless_they_are_images(
    write: Write, rewrite: Any
) -> None:
    scan = write()
    more = scan.folder / "protocol"
    shutil.copy(scan.files[0], more)
    rewrite(more, SeriesInstanceUID=None, SOPClassUID="1.2.840.10008.5.1.4.38.1")
    series = open_ct_series(scan.folder)
    assert series.files_seen is not None
    assert astuple(series.files_seen) == (5, 1, 0, 0)
    rewrite(more, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    with pytest.raises(UnsuitableScan, match="1 file is damaged"):
        open_ct_series(scan.folder)


class TestInputsThatCannotBeOpened:
    def test_a_file(self, write: Write, close: Close) -> None:
        scan = write()
        close(scan.files[0])
        with pytest.raises(UnreadableInput, match="the file cannot be opened: Permission denied"):
            open_ct_series(scan.files[0])

    def test_a_folder(self, write: Write, close: Close) -> None:
        scan = write()
        close(scan.folder)
        with pytest.raises(UnreadableInput, match="the folder cannot be opened: Permission"):
            open_ct_series(scan.folder)

    def test_every_file(self, write: Write, close: Close) -> None:
        scan = write()
        for file in scan.files:
            close(file)
        with pytest.raises(UnreadableInput, match="no DICOM file; 5 files or folders in it cannot"):
            open_ct_series(scan.folder)

    def test_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UnreadableInput, match="neither a file nor a folder"):
            open_ct_series(tmp_path / "pipe")

    def test_too_many_files(self, write: Write) -> None:
        with pytest.raises(UnreadableInput, match="more than 4 files"):
            open_ct_series(write().folder, limits=Limits(files=4))


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of an administrator, whom no permission bit hinders."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no permission bits")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_permission_bits_are_kept(write: Write, what: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # others cannot enter that of pytest
        Path(folder).chmod(0o755)
        scan = write(folder=Path(folder) / "scan")
        assert len(open_ct_series(scan.folder)) == 5  # and everything is imported
        closed = scan.files[4]
        if what == "folder":
            closed = scan.folder / "more"
            closed.mkdir()
        closed.chmod(0)
        with nobody(), pytest.raises(UnsuitableScan, match="1 file or folder cannot be opened"):
            open_ct_series(scan.folder)
        with nobody():
            rest = open_ct_series(scan.folder, run="largest")
        assert len(rest) == (4 if what == "file" else 5)
        closed.chmod(0o700)


@pytest.mark.parametrize("place", [0, 4])
@pytest.mark.parametrize("share", range(0, 100, 4))
def test_a_file_that_is_cut_anywhere_is_damaged(write: Write, share: int, place: int) -> None:
    scan = write()
    content = scan.files[place].read_bytes()
    scan.files[place].write_bytes(content[: len(content) * share // 100])
    assert_refused_and_counted(scan, (1, 0), place)


def test_reading_in_python_keeps_the_same_rule(write: Write) -> None:
    scan = write()
    zeroed(scan.files[4])
    with pytest.raises(UnsuitableScan, match="1 file is damaged"):
        isocenter.read(scan.folder)
    assert isocenter.read(scan.folder, largest_run=True).array.shape == (4, 8, 8)


def test_shapes_of_names() -> None:
    assert shapes_of_name("IM0003") == shapes_of_name("im7.dcm") == {"IM#"}
    assert shapes_of_name("1.2.840.7") == {"#"}
    assert "%" in shapes_of_name("deadbeef") & shapes_of_name("12345678")
    assert not shapes_of_name("README") & shapes_of_name("IM3")


def scout(dataset: Dataset, _: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def test_a_scout_in_the_folder_does_not_hide_the_loss(write: Write, tmp_path: Path) -> None:
    scan = write()
    other = write(folder=tmp_path / "scout", seed=3, shape=(1, 8, 8), edit=scout)
    other.files[0].rename(scan.folder / "IM99")
    assert len(open_ct_series(scan.folder)) == 5
    zeroed(scan.files[4])
    with pytest.raises(UnsuitableScan, match="1 file is damaged or empty beside the 4 readable"):
        open_ct_series(scan.folder)
