"""Storage commitment: ask an archive whether it answers for what it was sent (PS3.4 J)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Literal

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from isocenter.dicom.network.quiet import pynetdicom
from isocenter.dicom.network.sending import Called

PUSH_MODEL = "1.2.840.10008.1.20.1"
_WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_REQUEST = 1

Committed = Literal["committed", "failed"]


class Commitments:
    """Reports that are waited for; threads may share it.

    An archive reports over the association it was asked by, or over one that it opens itself,
    perhaps much later; what comes when nobody waits any more is forgotten, and can be asked again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[Mapping[str, Committed]]] = {}

    def expect(self) -> tuple[str, Future[Mapping[str, Committed]]]:
        """A new transaction UID, and what will be reported of it."""
        uid = str(generate_uid(prefix=None))
        future: Future[Mapping[str, Committed]] = Future()
        with self._lock:
            self._waiting[uid] = future
        return uid, future

    def forget(self, transaction_uid: str) -> None:
        """Wait no more."""
        with self._lock:
            self._waiting.pop(transaction_uid, None)

    def hear(self, event: Any) -> tuple[int, Any]:
        """Take an N-EVENT-REPORT."""
        try:
            told = event.event_information
            uid = str(told.TransactionUID)
            said: dict[str, Committed] = {}
            for one in _uids(told, "ReferencedSOPSequence"):
                said[one] = "committed"
            for one in _uids(told, "FailedSOPSequence"):
                said[one] = "failed"
        except Exception:  # whatever a strange report makes of a library
            return _PROCESSING_FAILURE, None
        with self._lock:
            future = self._waiting.pop(uid, None)
        if future is not None:
            future.set_result(said)
        return _SUCCESS, None


def _uids(told: Any, sequence: str) -> list[str]:
    return [str(one.ReferencedSOPInstanceUID) for one in told.get(sequence) or ()]


def ask_commitment(
    objects: Sequence[tuple[str, str]], called: Called, commitments: Commitments
) -> Mapping[str, Committed]:
    """Ask an archive for objects, and wait for its report as long as it may be silent.

    Args:
        objects: SOP class and SOP instance UID of each.

    Returns:
        What it said, by SOP instance UID; nothing of what it did not speak of.
    """
    evt = pynetdicom().evt
    entity = pynetdicom().AE(ae_title=called.own_ae_title)
    entity.acse_timeout = entity.dimse_timeout = called.timeout_s
    entity.network_timeout = entity.connection_timeout = called.timeout_s
    entity.add_requested_context(PUSH_MODEL)
    uid, report = commitments.expect()
    try:
        association = entity.associate(
            called.host,
            called.port,
            ae_title=called.ae_title,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, commitments.hear)],
        )
        if not association.is_established:
            return {}
        try:
            status, _ = association.send_n_action(
                _asked(uid, objects), _REQUEST, PUSH_MODEL, _WELL_KNOWN_INSTANCE
            )
            if "Status" not in status or status.Status != _SUCCESS:
                return {}
            return report.result(called.timeout_s)
        finally:
            if association.is_established:
                association.release()
    except (FutureTimeoutError, RuntimeError, ValueError):
        return {}
    finally:
        commitments.forget(uid)


def _asked(transaction_uid: str, objects: Sequence[tuple[str, str]]) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = []
    for sop_class, sop_uid in objects:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = sop_uid
        asked.ReferencedSOPSequence.append(item)
    return asked
