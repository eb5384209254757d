"""The one way in: from bytes of unknown origin to an answer that may be believed."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isocenter.core.errors import IsocenterError, UnreadableInput
from isocenter.core.files import disk_error
from isocenter.core.limits import DEFAULT_LIMITS, Limits
from isocenter.dicom.reading.instance_facts import InstanceFacts, instance_facts
from isocenter.gateway.store.database import StoreBusy
from isocenter.gateway.store.instances import Kept, keep_instance
from isocenter.gateway.store.store import Store, note

Refusal = Literal["out_of_resources", "not_understood", "does_not_match"]
_FULL = (errno.ENOSPC, errno.EDQUOT)


class NotTaken(IsocenterError):
    """An instance was not taken, and the sender still has to keep it.

    Attributes:
        refusal: "out_of_resources" may be tried again later, the others not.
        facts: what it says of itself, where that was read.
    """

    def __init__(self, message: str, refusal: Refusal, facts: InstanceFacts | None = None) -> None:
        super().__init__(message)
        self.refusal: Refusal = refusal
        self.facts = facts


@dataclass(frozen=True, kw_only=True)
class Taken:
    """An instance that is safe."""

    facts: InstanceFacts
    kept: Kept


class Intake:
    """Takes files one by one; threads may share it."""

    def __init__(self, store: Store, *, limits: Limits = DEFAULT_LIMITS) -> None:
        """Start an intake.

        Args:
            limits: what a file may cost.
        """
        self.store = store
        self.limits = limits
        self._full = threading.Event()

    @contextmanager
    def part(self, num_bytes: int = 0) -> Iterator[Path]:
        """A name to write an instance to, for :meth:`take`.

        Raises:
            NotTaken: the disk is nearly full.
        """
        if self.store.spool.is_full(num_bytes):
            self._note_full()
            raise NotTaken("the disk of the gateway is nearly full", "out_of_resources")
        self._full.clear()
        with self.store.spool.part() as path:
            try:
                yield path
            except OSError as error:
                raise self._of_disk(error) from error

    def take(self, part: Path, *, source: str, sop_uid: str = "", study_uid: str = "") -> Taken:
        """Make an instance safe; when this returns, the sender may forget it.

        Args:
            part: what :meth:`part` gave, written whole.
            source: who sent it, for people.
            sop_uid, study_uid: that it must have; empty takes any.

        Raises:
            NotTaken: it was not taken.
        """
        facts = self._facts(part)
        wanted = {facts.sop_uid: sop_uid, facts.study_uid: study_uid}
        if any(other and uid != other for uid, other in wanted.items()):
            raise NotTaken("the data set is not of what was announced", "does_not_match", facts)
        try:
            kept = keep_instance(self.store, part, facts, source=source)
        except StoreBusy as error:
            raise NotTaken(str(error), "out_of_resources", facts) from None
        except OSError as error:
            raise self._of_disk(error, facts) from error
        return Taken(facts=facts, kept=kept)

    def _facts(self, part: Path) -> InstanceFacts:
        try:
            return instance_facts(part, limits=self.limits)
        except UnreadableInput as error:
            raise NotTaken(str(error), "not_understood") from None

    def _of_disk(self, error: OSError, facts: InstanceFacts | None = None) -> NotTaken:
        cause = disk_error(error)
        if cause is not None and cause.errno in _FULL:
            self._note_full()
        return NotTaken("the gateway cannot write to its disk", "out_of_resources", facts)

    def _note_full(self) -> None:
        """Say once that the disk is full, where that can still be written."""
        if self._full.is_set():
            return
        self._full.set()
        free = shutil.disk_usage(self.store.spool.folder).free
        try:
            with self.store.database.writing() as connection:
                note(connection, "disk_full", {"free_bytes": free})
        except (StoreBusy, OSError):
            return
