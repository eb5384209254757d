"""Ask a task whether it would work on files, in a process with the limits of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from isocenter.gateway.configuration.configuration import JobKeys
from isocenter.gateway.jobs.host import Host, WorkLimits
from isocenter.gateway.jobs.work import work

GIBIBYTE = 2**30


def limits_of(keys: JobKeys) -> WorkLimits:
    """What one job may cost."""
    return WorkLimits(memory_bytes=int(keys.memory_gib * GIBIBYTE), seconds=keys.minutes * 60.0)


@contextmanager
def asked_apart(
    keys: JobKeys, *, wanted: bool = True
) -> Iterator[Callable[[Mapping[str, Any]], dict[str, Any]] | None]:
    """Something to ask; None where that is not wanted. Enter it before any thread is started."""
    if not wanted:
        yield None
        return
    host = Host(work, limits_of(keys))
    try:
        yield host.run
    finally:
        host.close()
