"""What lies below an input: files that begin as DICOM, others, and what cannot be opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from isocenter.core.errors import UnreadableInput
from isocenter.core.files import named_path
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.decoding.parsing import looks_like_dicom


@dataclass(kw_only=True)
class Listing:
    """Paths below an input in a fixed order; every file is in one of the lists.

    Attributes:
        top: the input.
        dicom: begin as DICOM does.
        strange: begin otherwise, or are empty.
        closed: cannot be opened: no permission, a link to nothing, no regular file.
        closed_folders: cannot be listed.
    """

    top: Path
    dicom: list[Path] = field(default_factory=list)
    strange: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)
    closed_folders: list[Path] = field(default_factory=list)

    @property
    def num_files(self) -> int:
        """A folder that cannot be listed counts as one."""
        lists = (self.dicom, self.strange, self.closed, self.closed_folders)
        return sum(map(len, lists))


def list_files(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> Listing:
    """Look at the beginning of every file below a path; links to folders are not followed.

    Raises:
        UnreadableInput: nothing is there, it cannot be opened, or it holds too many files.
        InputRefused: no file can have such a name.
    """
    top = named_path(path)
    listing = Listing(top=top)
    mode = _mode(top)
    if mode is None:
        raise UnreadableInput(
            "the input does not exist; give a DICOM file or a folder of them",
            reason="no_such_input",
        )
    if stat.S_ISREG(mode):
        if not _starts(top):
            raise UnreadableInput("the file is not DICOM; give a DICOM file or a folder of them")
        listing.dicom.append(top)
        return listing
    if not stat.S_ISDIR(mode):
        raise UnreadableInput("the input is neither a file nor a folder")
    for place in _walk(top, listing.closed_folders):
        _sort_in(place, listing)
        if listing.num_files > limits.files:
            raise UnreadableInput(
                f"the folder holds more than {limits.files} files (limit files); give the folder "
                "of one study"
            )
    return listing


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _cannot_be_opened("input", error) from None


def _starts(path: Path) -> bool:
    try:
        return looks_like_dicom(path)
    except OSError as error:
        raise _cannot_be_opened("file", error) from None


def _cannot_be_opened(what: str, error: OSError) -> UnreadableInput:
    reason = f": {os.strerror(error.errno)}" if error.errno else ""
    return UnreadableInput(
        f"the {what} cannot be opened{reason}; give one that you may read, or ask whoever "
        "administers it for access"
    )


def _walk(top: Path, closed_folders: list[Path]) -> Iterator[Path]:
    def keep(error: OSError) -> None:
        if Path(error.filename) == top:
            raise _cannot_be_opened("folder", error) from None
        closed_folders.append(Path(error.filename))

    for where, folders, names in os.walk(top, onerror=keep):
        folders.sort()
        yield from (Path(where) / name for name in sorted(names))


def _sort_in(path: Path, listing: Listing) -> None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            listing.closed.append(path)  # opening a pipe would wait for ever
        elif looks_like_dicom(path):
            listing.dicom.append(path)
        else:
            listing.strange.append(path)
    except OSError:
        listing.closed.append(path)
