"""C-STORE and C-ECHO into the intake, MPPS and IAN into the evidence."""

from __future__ import annotations

from isocenter.core.errors import SettingRefused
from isocenter.dicom.network.commitment import Commitments
from isocenter.dicom.network.receiving import (
    DOES_NOT_MATCH,
    NO_SUCH_INSTANCE,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
    Caller,
    Incoming,
    Notice,
    Receiver,
    ReceiverLimits,
    server_tls,
)
from isocenter.gateway.configuration.configuration import MEBIBYTE, DicomKeys
from isocenter.gateway.receive.intake import Intake, NotTaken
from isocenter.gateway.store.database import StoreBusy
from isocenter.gateway.store.notices import keep_notice
from isocenter.gateway.store.store import note

_STATUS = {
    "out_of_resources": OUT_OF_RESOURCES,
    "not_understood": NOT_UNDERSTOOD,
    "does_not_match": DOES_NOT_MATCH,
}


def start_receiver(
    keys: DicomKeys, intake: Intake, *, commitments: Commitments | None = None
) -> Receiver:
    """Listen for C-STORE, C-ECHO, MPPS, IAN and reports on storage commitment.

    Raises:
        SettingRefused: the address cannot be listened at, or TLS files cannot be used.
    """

    def store(incoming: Incoming) -> int:
        return _store(incoming, intake)

    def notice(told: Notice) -> int:
        return _keep_notice(told, intake)

    def refused(why: str) -> None:
        _note_refused(intake, why)

    tls = None
    try:
        if keys.tls_certificate is not None and keys.tls_key is not None:
            tls = server_tls(keys.tls_certificate, keys.tls_key, keys.tls_callers)
    except OSError as error:
        raise SettingRefused(
            "dicom.tls_certificate, tls_key or tls_callers cannot be read as PEM files that belong "
            "together"
        ) from error
    try:
        return Receiver(
            ae_title=keys.ae_title,
            host=keys.host,
            port=keys.port,
            callers=[
                Caller(ae_title=each.ae_title, networks=each.addresses) for each in keys.peers
            ],
            store=store,
            notice=notice,
            commitments=commitments,
            refused=refused,
            limits=ReceiverLimits(
                associations=keys.most_associations,
                pdu_bytes=keys.largest_pdu,
                instance_bytes=keys.largest_instance_mib * MEBIBYTE,
                idle_s=keys.idle_s,
            ),
            tls=tls,
        )
    except OSError as error:
        raise SettingRefused(
            f"dicom.host and dicom.port cannot be listened at ({error.strerror}); is another "
            "program there?"
        ) from error


def _store(incoming: Incoming, intake: Intake) -> int:
    """Take one instance; the status is success only when it is safe."""
    try:
        with intake.part(len(incoming.file)) as part:
            part.write_bytes(incoming.file)
            intake.take(part, source=f"C-STORE {incoming.caller}", sop_uid=incoming.sop_uid)
    except NotTaken as refusal:
        return _STATUS[refusal.refusal]
    return SUCCESS


def _keep_notice(told: Notice, intake: Intake) -> int:
    if not told.notice_uid or (told.is_new and not told.study_uid):
        return PROCESSING_FAILURE
    try:
        return SUCCESS if keep_notice(intake.store, told) else NO_SUCH_INSTANCE
    except (StoreBusy, OSError):
        return PROCESSING_FAILURE


def _note_refused(intake: Intake, why: str) -> None:
    try:
        with intake.store.database.writing() as connection:
            note(connection, "association_refused", {"why": why})
    except (StoreBusy, OSError):
        return
