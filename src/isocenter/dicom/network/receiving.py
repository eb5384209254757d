"""The receiver of C-STORE, C-ECHO, MPPS and IAN: who may call, how much, and what is answered.

What to do with an instance or a notice is the caller's, who gives the status.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.dicom.network.commitment import PUSH_MODEL, Commitments
from isocenter.dicom.network.quiet import pynetdicom

SUCCESS = 0x0000
NO_SUCH_INSTANCE = 0x0112
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
NOT_UNDERSTOOD = 0xC000
REJECTED_CALLER = (0x01, 0x01, 0x03)
"""Rejected permanently, by the service user: calling AE title not recognized."""

MPPS = "1.2.840.10008.3.1.2.3.3"
IAN = "1.2.840.10008.5.1.4.33"
_MOST_LISTED = 200_000
_TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
)
_HANDSHAKE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An AE title, and the networks that it may call from."""

    ae_title: str
    networks: tuple[str, ...]

    def is_at(self, address: str) -> bool:
        """Whether an address is one of its."""
        found = ipaddress.ip_address(address)
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in ipaddress.ip_network(each) for each in self.networks)


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """One C-STORE request.

    Attributes:
        file: the instance as a file, with its file meta.
        sop_uid: as the request announces it; the data set may say otherwise.
        caller: calling AE title and address, for people.
    """

    file: bytes
    sop_uid: str
    caller: str


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Somebody tells which instances of a study there are.

    Attributes:
        kind: "mpps" (a modality on its procedure step) or "ian" (an archive on availability).
        notice_uid: SOP Instance UID of the step or notification.
        study_uid: "" where it is not said, as in changes of a step.
        sop_uids: that are listed; empty while a step goes on.
        is_new: whether it is created, not changed.
    """

    kind: str
    notice_uid: str
    study_uid: str
    sop_uids: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class ReceiverLimits:
    """What callers may cost.

    Attributes:
        associations: at once.
        pdu_bytes: offered to callers as the longest PDU.
        instance_bytes: an association that sends more in one message is ended.
        idle_s: an association that says nothing for so long is aborted.
    """

    associations: int = 16
    pdu_bytes: int = 65536
    instance_bytes: int = 2**30
    idle_s: float = 60.0


class Receiver:
    """Listens until it is closed.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self,
        *,
        ae_title: str,
        host: str,
        port: int,
        callers: Sequence[Caller],
        store: Callable[[Incoming], int],
        notice: Callable[[Notice], int],
        commitments: Commitments | None = None,
        refused: Callable[[str], None] = lambda why: None,
        limits: ReceiverLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Start to listen.

        Args:
            ae_title: that callers must call.
            host, port: to listen at; port 0 takes a free one.
            callers: others are rejected.
            store: takes an instance and gives the status to answer with.
            notice: takes a notice and gives the status to answer with.
            commitments: take reports on storage commitment; None takes none.
            refused: told why an association was refused or aborted.
            limits: None takes the defaults.
            tls: None speaks without TLS.

        Raises:
            OSError: the address cannot be listened at.
        """
        self._callers = tuple(callers)
        self._store = store
        self._notice = notice
        self._commitments = commitments
        self._refused = refused
        self._limits = limits or ReceiverLimits()
        self._ae = _application_entity(ae_title, self._limits)
        self._sent: dict[int, int] = {}
        self._server = self._ae.make_server(
            (host, port), ssl_context=tls, evt_handlers=self._handlers(), server_class=_server()
        )
        self._ae._servers.append(self._server)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="C-STORE receiver", daemon=True
        )
        self._thread.start()
        self.port: int = self._server.socket.getsockname()[1]

    def close(self) -> None:
        """Stop to listen, and abort what is going on; who was not answered sends again."""
        for association in self._server.active_associations:
            if association.is_established:
                association.abort()
            elif association.dul.socket is not None:  # nothing was agreed on that could be aborted
                association.dul.socket.close()
        self._server.shutdown()
        self._thread.join(5.0)
        for association in self._server.active_associations:
            association.join(2.0)

    def _handlers(self) -> list[Any]:
        evt = pynetdicom().evt
        reports = [(evt.EVT_N_EVENT_REPORT, self._commitments.hear)] if self._commitments else []
        return [
            *reports,
            (evt.EVT_REQUESTED, self._judge_caller),
            (evt.EVT_PDU_RECV, self._count_bytes),
            (evt.EVT_DIMSE_RECV, self._message_is_whole),
            (evt.EVT_CONN_CLOSE, self._forget),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_N_CREATE, self._hear_new),
            (evt.EVT_N_SET, self._hear_change),
        ]

    def _judge_caller(self, event: Any) -> None:
        """Reject who is not listed, or calls from elsewhere; the library checks who is called."""
        association = event.assoc
        title = getattr(association.requestor.primitive, "calling_ae_title", None)
        if title is None:  # noise, not a request; the library would stumble over it
            association.is_aborted = True
            association.kill()
            return
        title = title.strip()
        address = association.requestor.address
        if any(each.ae_title == title and each.is_at(address) for each in self._callers):
            return
        self._refused("an unknown caller")
        association.acse.send_reject(*REJECTED_CALLER)
        association.kill()

    def _count_bytes(self, event: Any) -> None:
        """End an association whose message grows beyond the limit: it is held in memory."""
        if type(event.pdu).__name__ != "P_DATA_TF":
            return
        key = id(event.assoc)
        self._sent[key] = self._sent.get(key, 0) + event.pdu.pdu_length
        if self._sent[key] > self._limits.instance_bytes:
            self._refused("an instance that is too large")
            event.assoc.dul.socket.close()  # an orderly abort would wait for this very thread

    def _message_is_whole(self, event: Any) -> None:
        self._sent.pop(id(event.assoc), None)

    def _forget(self, event: Any) -> None:
        self._sent.pop(id(event.assoc), None)

    def _take(self, event: Any) -> int:
        try:
            requestor = event.assoc.requestor
            incoming = Incoming(
                file=event.encoded_dataset(),
                sop_uid=str(event.request.AffectedSOPInstanceUID or ""),
                caller=f"{requestor.ae_title.strip()} at {requestor.address}",
            )
        except Exception:  # whatever a hostile request makes of a library
            return NOT_UNDERSTOOD
        return self._store(incoming)

    def _hear_new(self, event: Any) -> tuple[int, Any]:
        """N-CREATE of a procedure step or of a notification."""
        try:
            kind = "mpps" if event.request.AffectedSOPClassUID == MPPS else "ian"
            told = event.attribute_list
            notice = Notice(
                kind=kind,
                notice_uid=str(event.request.AffectedSOPInstanceUID or ""),
                study_uid=_study_told(told),
                sop_uids=_listed(told),
                is_new=True,
            )
        except Exception:  # whatever a hostile request makes of a library
            return PROCESSING_FAILURE, None
        return self._notice(notice), told

    def _hear_change(self, event: Any) -> tuple[int, Any]:
        """N-SET of a procedure step; only one that is completed lists its instances for good."""
        try:
            told = event.modification_list
            is_complete = told.get("PerformedProcedureStepStatus") == "COMPLETED"
            notice = Notice(
                kind="mpps",
                notice_uid=str(event.request.RequestedSOPInstanceUID or ""),
                study_uid="",
                sop_uids=_listed(told) if is_complete else (),
                is_new=False,
            )
        except Exception:  # whatever a hostile request makes of a library
            return PROCESSING_FAILURE, None
        return self._notice(notice), told


def _study_told(told: Any) -> str:
    """The study of a notification, or that a procedure step was scheduled for."""
    steps = told.get("ScheduledStepAttributesSequence") or [told]
    return str(steps[0].get("StudyInstanceUID") or "")


def _listed(told: Any) -> tuple[str, ...]:
    """Instances that a procedure step made or a notification lists."""
    found: list[str] = []
    for group in ("PerformedSeriesSequence", "ReferencedSeriesSequence"):
        for series in told.get(group) or ():
            for images in (
                "ReferencedImageSequence",
                "ReferencedNonImageCompositeSOPInstanceSequence",
                "ReferencedSOPSequence",
            ):
                found += [str(one.ReferencedSOPInstanceUID) for one in series.get(images) or ()]
    return tuple(dict.fromkeys(found[:_MOST_LISTED]))


def _application_entity(ae_title: str, limits: ReceiverLimits) -> Any:
    library = pynetdicom()
    entity = library.AE(ae_title=ae_title)
    entity.require_called_aet = True
    entity.maximum_associations = limits.associations
    entity.maximum_pdu_size = limits.pdu_bytes
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = limits.idle_s
    for context in library.AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, list(_TRANSFER_SYNTAXES))
    for service in ("1.2.840.10008.1.1", MPPS, IAN):
        entity.add_supported_context(service)
    # An archive that reports takes the part of the provider on an association that it opened.
    entity.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)
    return entity


def _server() -> type:
    """A server that leaves the TLS handshake to the thread of the association, with a limit."""
    pynetdicom()
    from pynetdicom.transport import ThreadedAssociationServer

    class Server(ThreadedAssociationServer):
        daemon_threads = True
        block_on_close = False

        def get_request(self) -> Any:
            assert self.socket is not None
            client, address = self.socket.accept()
            if self.ssl_context:
                client = self.ssl_context.wrap_socket(
                    client, server_side=True, do_handshake_on_connect=False
                )
            return client, address

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            if self.ssl_context and not _shake_hands(request):
                self.shutdown_request(request)
                return
            super().process_request_thread(request, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Nothing: the library would print a traceback."""

    return Server


def _shake_hands(client: ssl.SSLSocket) -> bool:
    try:
        client.settimeout(_HANDSHAKE_S)
        client.do_handshake()
        client.settimeout(None)
    except (OSError, ValueError):
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        return False
    return True


def server_tls(certificate: Path, private_key: Path, callers: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later; with ``callers`` only for certificates of these authorities.

    Raises:
        OSError: a file cannot be read, or is none of these.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, private_key)
    if callers is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(callers)
    return context
