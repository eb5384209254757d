"""Send files by C-STORE over one association, and say what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from isocenter.dicom.network.quiet import pynetdicom

NO_CONTEXT = 0x0122
"""SOP class not supported: the archive takes no such objects."""


@dataclass(frozen=True, kw_only=True)
class Called:
    """An archive that takes C-STORE."""

    host: str
    port: int
    ae_title: str
    own_ae_title: str
    timeout_s: float = 30.0


def send_files(files: Sequence[Path], called: Called) -> list[int | None]:
    """Send files of ours; gives the status of each, None where no answer came.

    Nothing is raised: whoever was not answered may have been stored, or not.
    """
    answers: list[int | None] = [None] * len(files)
    with suppress(Exception):  # whatever a strange peer makes of a library
        datasets = [dcmread(path) for path in files]
        association = _association(datasets, called)
        if not association.is_established:
            return answers
        try:
            for place, dataset in enumerate(datasets):
                answers[place] = _send(association, dataset)
                if not association.is_established:
                    break
        finally:
            if association.is_established:
                association.release()
    return answers


def echo(called: Called) -> bool:
    """Whether an archive answers C-ECHO."""
    with suppress(Exception):
        entity = _entity(called)
        entity.add_requested_context("1.2.840.10008.1.1")
        association = entity.associate(called.host, called.port, ae_title=called.ae_title)
        if association.is_established:
            status = association.send_c_echo()
            association.release()
            return bool(status) and status.Status == 0
    return False


def _entity(called: Called) -> Any:
    entity = pynetdicom().AE(ae_title=called.own_ae_title)
    entity.acse_timeout = entity.dimse_timeout = called.timeout_s
    entity.network_timeout = entity.connection_timeout = called.timeout_s
    return entity


def _association(datasets: Sequence[Any], called: Called) -> Any:
    entity = _entity(called)
    wanted = {(one.SOPClassUID, one.file_meta.TransferSyntaxUID): None for one in datasets}
    for sop_class, syntax in wanted:
        entity.add_requested_context(sop_class, [syntax])
    return entity.associate(called.host, called.port, ae_title=called.ae_title)


def _send(association: Any, dataset: Any) -> int | None:
    syntax = dataset.file_meta.TransferSyntaxUID
    accepted = {
        (each.abstract_syntax, each.transfer_syntax[0]) for each in association.accepted_contexts
    }
    if (dataset.SOPClassUID, syntax) not in accepted:
        return NO_CONTEXT
    status = association.send_c_store(dataset)
    return int(status.Status) if status and "Status" in status else None
