"""Files that are whole or absent, and their digests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isocenter.core.errors import InputRefused

PARTIAL = re.compile(r"\.partial-[0-9a-f]{8}")
"""Ending of a folder that is still being written."""


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
def folder_appearing_whole(final: Path) -> Iterator[Path]:
    """A folder to write into, which becomes ``final`` in one step when the block ends well.

    When the block fails, nothing stays behind. What a killed process leaves matches
    :data:`PARTIAL`.

    Args:
        final: does not exist, or is an empty folder; its parent exists.
    """
    partial = final.parent / f".{final.name}.partial-{secrets.token_hex(4)}"
    partial.mkdir()
    try:
        yield partial
        flush_tree(partial)
        rename_folder(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
