"""Files on disk: written apart, flushed, then named by their own content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout

from isocenter.core.errors import OutputRefused
from isocenter.core.files import flush, sha256_of, writing_to

_PART = ".part"
_ENDING = ".dcm"


class Spool:
    """A folder: ``incoming`` for what is being written, ``objects`` for what came, ``results`` for
    what was made, ``work`` for jobs."""

    def __init__(self, folder: Path, *, keep_free_bytes: int = 0) -> None:
        """Open a spool, and make what is missing of it.

        Raises:
            OutputRefused: the folder is not writable.
        """
        self.folder = folder.absolute()
        self.keep_free_bytes = keep_free_bytes
        self.incoming = self.folder / "incoming"
        self.objects = self.folder / "objects"
        self.results = self.folder / "results"
        self.work = self.folder / "work"
        with writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for each in (self.incoming, self.work):
                each.mkdir(exist_ok=True, mode=0o700)
            for each in (self.objects, self.results):
                for number in range(256):
                    (each / f"{number:02x}").mkdir(exist_ok=True, parents=True, mode=0o700)
                flush(each)
            flush(self.folder)

    @contextmanager
    def only_user(self) -> Iterator[None]:
        """Hold the spool alone, until the block or the process ends.

        Raises:
            OutputRefused: another gateway runs on this folder.
        """
        lock = FileLock(self.folder / "gateway.lock", timeout=2.0, poll_interval=0.02)
        try:
            lock.acquire()
        except Timeout:
            raise OutputRefused(
                "Another gateway runs on this store.folder; end it, or name another folder.",
                reason="output_busy",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def is_full(self, num_bytes: int = 0) -> bool:
        """Whether so many bytes more would leave less free than must stay free."""
        return shutil.disk_usage(self.folder).free < self.keep_free_bytes + num_bytes

    @contextmanager
    def part(self) -> Iterator[Path]:
        """A name to write to; what still has it when the block ends is removed."""
        path = self.incoming / f"{token_hex(16)}{_PART}"
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def keep(self, part: Path, *, made: bool = False) -> tuple[str, str, int]:
        """Give a whole file its name; it survives a power cut when this returns.

        Args:
            part: the file; it is moved.
            made: whether it is a result, not what came.

        Returns:
            Path within the spool, hexadecimal SHA-256 and number of bytes.
        """
        flush(part)
        digest = sha256_of(part)
        top = self.results if made else self.objects
        path = top / digest[:2] / f"{digest}{_ENDING}"
        num_bytes = part.stat().st_size
        os.replace(part, path)
        flush(path.parent)
        return path.relative_to(self.folder).as_posix(), digest, num_bytes

    def file(self, path: str) -> Path:
        """The file of a path within the spool."""
        return self.folder / path

    def remove(self, path: str) -> None:
        """Remove a kept file that no row names."""
        with suppress(OSError):
            self.file(path).unlink(missing_ok=True)

    def kept(self, *, made: bool = False) -> Iterator[str]:
        """Paths of all kept files: of what came, or of what was made."""
        for path in sorted((self.results if made else self.objects).glob(f"*/*{_ENDING}")):
            yield path.relative_to(self.folder).as_posix()

    def clear_parts(self) -> int:
        """Remove what a killed process was writing; nobody was told that it is safe."""
        parts = list(self.incoming.glob(f"*{_PART}"))
        for each in parts:
            each.unlink(missing_ok=True)
        return len(parts)
