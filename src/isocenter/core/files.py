"""Files that are whole or absent, who may read them, why the disk said no, and digests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isocenter.core.errors import InputRefused, IsocenterError, OutputRefused
from isocenter.core.partial_folders import partial_folder
from isocenter.core.reasons import reason_not_written

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or name a folder on another disk",
    errno.EDQUOT: "your disk quota is used up; free some space or name a folder on another disk",
    errno.EFBIG: "the file system does not take files this large; name a folder on another disk",
    errno.EROFS: "the file system is read-only; name a folder on another disk",
    errno.EIO: "the disk reports a fault; name a folder on another disk, and have this one checked",
}


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn failures of the disk into :class:`OutputRefused`, said in words."""
    try:
        yield
    except IsocenterError:
        raise
    except Exception as error:
        if (cause := disk_error(error)) is None:
            raise
        raise OutputRefused(
            f"Cannot write to {folder}: {refusal_in_words(cause)}.",
            reason=reason_not_written(cause),
        ) from error


def disk_error(error: BaseException) -> OSError | None:
    """What the system said, where an error is of the disk.

    Libraries raise errors of their own from those of the system, as pydicom does without the
    number; the first in the chain that has one counts. Of what is no OSError itself, only those
    that speak of the disk do.
    """
    is_of_system = isinstance(error, OSError)
    first = error if isinstance(error, OSError) else None
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno and (is_of_system or seen.errno in _ADVICE):
            return seen
        seen = seen.__cause__ or seen.__context__
    return first


def refusal_in_words(error: OSError) -> str:
    """Why the system did not write, and what to do."""
    reason = os.strerror(error.errno) if error.errno else "the system refused"
    return f"{reason}; {_ADVICE.get(error.errno or 0, 'name a folder that you may write to')}"


def raise_what_stops(folder: Path, num_bytes: int) -> None:
    """Raise the OSError that keeps so many bytes from being written to a folder, if one does.

    For libraries that only say that they could not write, or not even that.
    """
    zeros = bytes(2**20)
    with tempfile.TemporaryFile(dir=folder) as probe:
        for start in range(0, num_bytes, len(zeros)):
            probe.write(zeros[: num_bytes - start])
        probe.flush()
        os.fsync(probe.fileno())


def named_path(name: str | Path) -> Path:
    """The place that a user named, from their home folder where it begins with "~".

    Raises:
        InputRefused: no file or folder can have this name.
    """
    text = str(name)
    if not text:
        raise InputRefused("input and output must be named; an empty name is neither")
    try:
        path = Path(name).expanduser()
        os.lstat(path)  # refuses what the system takes for no name
    except RuntimeError:
        raise InputRefused(
            "a name begins with the home folder (~) of a user that this system does not know; "
            "write the folder out"
        ) from None
    except ValueError:
        raise InputRefused(
            "a name of a file or folder holds characters that no name may hold, such as NUL; "
            "check how it was put together"
        ) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputRefused(
                f"a name of a file or folder is {len(text)} characters long, more than this "
                "system takes; check how it was put together"
            ) from None
    return path


def part_of(path: Path) -> Path:
    """Where a file grows until it is whole: hidden, beside it, with an ending more."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def appearing_whole(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A name to write under, which becomes ``path`` when the block ends well.

    The content is on the disk before the name is. When the block fails, nothing stays behind and
    what ``path`` held before is untouched.

    Args:
        path: the final name; its folder exists.
        mode: permission bits of the file, such as 0o644.
    """
    part = part_of(path)
    try:
        yield part
        if mode is not None:
            part.chmod(mode)
        put_in_place(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def put_in_place(part: Path, path: Path) -> None:
    """Give a finished file its name, once its content is on the disk."""
    flush(part)
    os.replace(part, path)


@contextmanager
def folder_appearing_whole(final: Path, *, private: bool = False) -> Iterator[Path]:
    """A folder to write into, which becomes ``final`` in one step when the block ends well.

    When the block fails, nothing stays behind. What a killed process leaves,
    :func:`isocenter.core.partial_folders.left_overs` finds.

    Args:
        final: does not exist, or is an empty folder; its parent exists.
        private: for its owner alone, with all that is in it.
    """
    with partial_folder(final, private=private) as partial:
        yield partial
        if private:
            make_private(partial)
        flush_tree(partial)
        rename_folder(partial, final)


def make_private(path: Path) -> None:
    """Take a file or a folder and all in it from everybody but its owner: 0600 and 0700."""
    for one in (path, *path.rglob("*")):
        if not one.is_symlink():
            one.chmod(0o700 if one.is_dir() else 0o600)


def rename_folder(partial: Path, final: Path) -> None:
    """Give a finished folder its name; an empty folder of that name makes way."""
    if final.is_dir():
        final.rmdir()
    os.rename(partial, final)
    flush(final.parent)


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole, UTF-8."""
    with appearing_whole(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, content: Any, *, indent: int = 2, sort_keys: bool = False) -> Path:
    """Write a JSON file whole, with a line break at its end.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(content, indent=indent, sort_keys=sort_keys, allow_nan=False)
    return write_text(path, text + "\n")


def flush(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """:func:`flush` everything below a folder, and the folder."""
    for path in sorted(folder.rglob("*")):
        flush(path)
    flush(folder)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digests_below(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path there, in order of path."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
