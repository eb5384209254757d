"""A folder of results that appears whole, at once, or not at all.

A run writes into a partial folder beside ``NAME`` and renames it in one step when every file is on
the disk. A lock beside it, which the system releases when a process ends however it ends, keeps two
runs from the same result; whoever holds it may remove what killed runs left.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from isocenter.core.errors import OutputRefused
from isocenter.core.files import (
    digests_below,
    folder_appearing_whole,
    make_private,
    sha256_of,
    write_json,
    writing_to,
)
from isocenter.core.partial_folders import held, lock_of, remove_old
from isocenter.core.record import RunRecord

RECORD_NAME = "record.json"
OLD_S = 24 * 3600.0
"""From when on a run clears away what runs to other names left, where locks may not be seen."""


def made_once(
    final: Path, record: RunRecord, make: Callable[[Path], None], *, private: bool = False
) -> tuple[RunRecord, bool]:
    """Make a result, unless an earlier run made this very one; then it is checked and left.

    Args:
        final: folder of the result.
        record: of the run; its digest says which result it is.
        make: writes everything into the folder that it gets, :func:`write_record` last.
        private: for its owner alone.

    Returns:
        The record that lies in the folder, and whether it lay there before.

    Raises:
        OutputRefused: the place is taken, in use or not writable, or the result was altered.
    """
    with only_run_for(final):
        if earlier := earlier_result(final, record.digest()):
            if private:
                with writing_to(final):
                    make_private(final)
            return _stored_record(earlier["record"]), True
        with appearing_at_once(final, private=private) as partial:
            make(partial)
    return record, False


def _stored_record(content: Mapping[str, Any]) -> RunRecord:
    values = {name: value for name, value in content.items() if name != "digest"}
    return RunRecord(**values | {"warnings": tuple(content.get("warnings", ()))})


@contextmanager
def only_run_for(final: Path) -> Iterator[None]:
    """Hold the lock of one result folder; what killed runs left is removed on entry.

    That of runs to the same name at once, that of others once it is old.

    Raises:
        OutputRefused: another run is making this result, or the place is not writable.
    """
    if os.path.ismount(final):
        raise OutputRefused(
            f"{final} is the root of a file system and cannot appear at once; name a new folder "
            "inside it."
        )
    with ExitStack() as stack:
        with writing_to(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            is_held = stack.enter_context(held(lock_of(final)))
        if not is_held:
            raise OutputRefused(
                f"Another run is writing {final} now; wait for it, or name another folder.",
                reason="output_busy",
            )
        remove_old(final.parent, older_than_s=OLD_S, of=final)
        yield


@contextmanager
def appearing_at_once(final: Path, *, private: bool = False) -> Iterator[Path]:
    """A new folder to write into, which becomes ``final`` when the block ends well.

    Hold :func:`only_run_for` around it. When the block fails, nothing stays behind.

    Args:
        private: for its owner alone.

    Raises:
        OutputRefused: the place is taken or not writable.
    """
    with writing_to(final), folder_appearing_whole(final, private=private) as partial:
        yield partial


def write_record(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write the record of a result with the SHA-256 of every other file in its folder."""
    files = digests_below(folder)
    return write_json(folder / RECORD_NAME, {**content, "files": files})


def earlier_result(final: Path, digest: str) -> dict[str, Any] | None:
    """The record of a result that is already there, None where the place is free.

    Raises:
        OutputRefused: the place holds something else, or the same result with altered files.
    """
    with writing_to(final):
        if not final.exists() or (final.is_dir() and not any(final.iterdir())):
            return None
    if not final.is_dir():
        raise OutputRefused(
            f"{final} is a file; name a new or an empty folder.", reason="output_taken"
        )
    content = _record_of(final)
    if content is None:
        raise OutputRefused(
            f"{final} is not empty and holds no result of ours, so nothing was written; "
            "name a new or an empty folder.",
            reason="output_taken",
        )
    if content["record"].get("digest") != digest:
        raise OutputRefused(
            f"{final} holds the result of another scan, model or setting, so nothing was "
            "written; name a new or an empty folder, or remove it first.",
            reason="output_taken",
        )
    if altered := _altered_files(final, content["files"]):
        raise OutputRefused(
            f"{final} holds this very result, but {len(altered)} of its files were changed or "
            f"removed (such as {altered[0]}); remove the folder and run again.",
            reason="result_altered",
        )
    return content


def _record_of(final: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((final / RECORD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    parts = (content.get("record"), content.get("files"))
    return content if all(isinstance(part, dict) for part in parts) else None


def _altered_files(final: Path, files: Mapping[str, str]) -> list[str]:
    return [
        name
        for name, sha256 in files.items()
        if not (final / name).is_file() or sha256_of(final / name) != sha256
    ]
