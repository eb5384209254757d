"""Folders that are being written: hidden, locked, and found again where a process was killed.

A folder ``.NAME.partial-XXXXXXXX`` grows beside ``NAME``, with a lock of its own name beside it
that the system releases when the process ends, however it ends. So whoever comes later can tell
what is ours from what is not, and what has ended from what still goes on. A lock without a folder
is that of a whole run.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

PARTIAL = re.compile(r"\.partial-[0-9a-f]{8}")
"""Ending of a folder that is still being written."""

_LOCK = ".isocenter-lock"
# Long enough to notice that the holder before us has just removed its lock file.
_PATIENCE_S = 0.1


@dataclass(frozen=True, kw_only=True)
class LeftOver:
    """What a run that was killed has left, or what one that goes on is writing.

    Attributes:
        lock: the lock file.
        folder: what was being written; None where there is only the lock.
        in_use: whether the process that made it still runs, or cannot be told to have ended.
        num_bytes: of all files in the folder.
        age_s: since anything in it changed.
    """

    lock: Path
    folder: Path | None
    in_use: bool
    num_bytes: int
    age_s: float

    @property
    def name(self) -> str:
        """Of the folder, or of the lock where there is none."""
        return (self.folder or self.lock).name


@contextmanager
def partial_folder(final: Path, *, private: bool = False) -> Iterator[Path]:
    """A new folder beside ``final`` to write into, gone when the block ends, however it ends.

    Args:
        final: a name in a folder that exists.
        private: for its owner alone.
    """
    partial = final.parent / f".{final.name}.partial-{secrets.token_hex(4)}"
    with held(lock_of(partial)):
        partial.mkdir(mode=0o700 if private else 0o777)
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def lock_of(path: Path) -> Path:
    """The lock file of a result or of a partial folder."""
    name = path.name if path.name.startswith(".") else f".{path.name}"
    return path.with_name(f"{name}{_LOCK}")


@contextmanager
def held(lock_file: Path) -> Iterator[bool]:
    """Hold a lock while the block runs; gives False, without it, where another process has it."""
    from filelock import FileLock

    lock = FileLock(lock_file, timeout=_PATIENCE_S, poll_interval=0.05)
    if not _acquire(lock):
        yield False
        return
    try:
        yield True
    finally:
        # Removed while held: whoever opened it meanwhile notices, and opens the next one.
        with suppress(OSError):
            os.unlink(lock_file)
        lock.release()


def _acquire(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire()
    except Timeout:
        return False
    return True


def left_overs(folder: Path) -> list[LeftOver]:
    """Everything of ours in a folder, not below it, that is not finished; in order of name."""
    found = []
    for lock_file in sorted(folder.glob(f".*{_LOCK}")):
        if not lock_file.is_file() or lock_file.is_symlink():
            continue
        partial = lock_file.with_name(lock_file.name.removesuffix(_LOCK))
        has_folder = bool(PARTIAL.search(partial.name)) and _is_folder(partial)
        num_bytes, changed = _extent(partial if has_folder else lock_file)
        found.append(
            LeftOver(
                lock=lock_file,
                folder=partial if has_folder else None,
                in_use=_in_use(lock_file),
                num_bytes=num_bytes,
                age_s=max(time.time() - changed, 0.0),
            )
        )
    return found


def remove(left_over: LeftOver) -> bool:
    """Remove what a killed run left; whether it is gone. What is in use stays."""
    try:
        with held(left_over.lock) as ours:
            if not ours:
                return False
            if left_over.folder is not None:
                shutil.rmtree(left_over.folder, ignore_errors=True)
                return not left_over.folder.exists()
            return True
    except OSError:
        return False


def remove_old(folder: Path, *, older_than_s: float, of: Path | None = None) -> None:
    """Remove what killed runs left in a folder that long ago; of a run to ``of`` at once."""
    try:
        found = left_overs(folder)
    except OSError:  # a run must not fail because others left something
        return
    for each in found:
        same = of is not None and each.folder is not None and _is_of(each.folder, of)
        if not each.in_use and (same or each.age_s > older_than_s):
            remove(each)


def _is_of(partial: Path, final: Path) -> bool:
    return PARTIAL.sub("", partial.name) == f".{final.name}"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _in_use(lock_file: Path) -> bool:
    """Whether another process holds a lock; so too where we may not ask, as it is another's."""
    from filelock import FileLock

    lock = FileLock(lock_file, timeout=0)
    try:
        if not _acquire(lock):
            return True
    except OSError:
        return True
    lock.release()
    return False


def _extent(path: Path) -> tuple[int, float]:
    """Bytes, and when anything was changed last."""
    num_bytes, changed = 0, 0.0
    for one in (path, *path.rglob("*")):
        with suppress(OSError):
            facts = one.lstat()
            changed = max(changed, facts.st_mtime)
            num_bytes += 0 if _is_folder(one) else facts.st_size
    return num_bytes, changed
