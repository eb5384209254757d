"""C-STORE over real sockets: what is acknowledged is safe, and who is not listed is refused."""

from __future__ import annotations

import errno
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import AE
from sqlalchemy import select

from isocenter.dicom.network.receiving import Receiver
from isocenter.gateway.complete.watch import Watch
from isocenter.gateway.configuration.configuration import CompletenessKeys, DicomKeys, StoreKeys
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.receive.dimse import start_receiver
from isocenter.gateway.receive.intake import Intake
from isocenter.gateway.store.schema import events, instances, studies
from isocenter.gateway.store.spool import Spool
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]
CT = "1.2.840.10008.5.1.4.1.1.2"
# Heads of association request, data, release and abort that declare some length.
PDU_HEADS = [bytes([kind, 0, 0, 0, 0, size]) for kind in (1, 4, 5, 7) for size in (0, 4, 255)]
PDU_HEADS += [b"\x04\x00\xff\xff\xff\xff", b"\x01\x00\x00\x00\x00\x44\x00\x01\x00\x00"]
KEYS = {
    "ae_title": "GATEWAY",
    "port": 0,
    "peers": [{"ae_title": "SCANNER", "addresses": ["127.0.0.1"]}],
}


@pytest.fixture
def listen(intake: Intake) -> Iterator[Callable[..., Receiver]]:
    opened = []

    def start(**changes: Any) -> Receiver:
        opened.append(start_receiver(read_table(DicomKeys, KEYS | changes, "dicom"), intake))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def association(port: int, *, calling: str = "SCANNER", called: str = "GATEWAY") -> Any:
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    entity.add_requested_context(CT)
    entity.add_requested_context("1.2.840.10008.1.1")
    return entity.associate("127.0.0.1", port, ae_title=called)


def send(port: int, datasets: list[Dataset]) -> list[int]:
    opened = association(port)
    assert opened.is_established
    try:
        return [opened.send_c_store(each).Status for each in datasets]
    finally:
        opened.release()


def test_what_is_acknowledged_is_on_disk_and_in_the_table(
    listen: Callable[..., Receiver], make_study: MakeStudy, store: Store
) -> None:
    study = make_study()
    assert send(listen().port, study) == [0, 0, 0]
    with store.database.reading() as connection:
        rows = connection.execute(select(instances)).all()
        (known,) = connection.execute(select(studies)).all()
    assert {row.sop_uid for row in rows} == {each.SOPInstanceUID for each in study}
    assert all(store.spool.file(row.path).is_file() for row in rows)
    assert all(row.source == "C-STORE SCANNER at 127.0.0.1" for row in rows)
    assert (known.num_instances, known.state) == (3, "open")


def test_an_echo_is_answered(listen: Callable[..., Receiver]) -> None:
    opened = association(listen().port)
    assert opened.send_c_echo().Status == 0
    opened.release()


@pytest.mark.parametrize("titles", [{"calling": "STRANGER"}, {"called": "OTHER"}])
def test_strangers_are_rejected(listen: Callable[..., Receiver], titles: dict[str, str]) -> None:
    assert association(listen().port, **titles).is_rejected


def test_a_listed_title_from_elsewhere_is_rejected(listen: Callable[..., Receiver]) -> None:
    peers = [{"ae_title": "SCANNER", "addresses": ["10.0.0.0/8"]}]
    assert association(listen(peers=peers).port).is_rejected


def test_more_associations_than_allowed_are_rejected(listen: Callable[..., Receiver]) -> None:
    port = listen(most_associations=1).port
    first = association(port)
    assert association(port).is_rejected
    first.release()


def test_a_nearly_full_disk_asks_the_sender_to_wait(
    listen: Callable[..., Receiver],
    make_study: MakeStudy,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = listen().port
    store.spool.keep_free_bytes = shutil.disk_usage(store.spool.folder).total
    assert send(port, make_study()) == [0xA700] * 3
    store.spool.keep_free_bytes = 0
    assert send(port, make_study()) == [0] * 3
    with store.database.reading() as connection:
        assert "disk_full" in connection.scalars(select(events.c.kind)).all()


def test_a_disk_that_fills_while_writing_acknowledges_nothing(
    listen: Callable[..., Receiver],
    make_study: MakeStudy,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    port = listen().port
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "keep", full)
        assert send(port, make_study()) == [0xA700] * 3
    assert not list(store.spool.incoming.iterdir())
    assert not list(store.spool.kept())
    assert send(port, make_study()) == [0] * 3


def test_a_locked_database_asks_the_sender_to_wait(
    listen: Callable[..., Receiver], make_study: MakeStudy, store: Store
) -> None:
    port = listen().port
    study = make_study(num_slices=3)[:1]
    with store.database.writing():
        assert send(port, study) == [0xA700]
    assert send(port, study) == [0]


def test_an_instance_that_is_too_large_is_aborted(
    listen: Callable[..., Receiver], make_study: MakeStudy, store: Store
) -> None:
    port = listen(largest_instance_mib=1).port
    (large, *_) = make_study(size=800)
    opened = association(port)
    assert not opened.send_c_store(large)
    assert list(store.spool.kept()) == []


def test_a_data_set_of_another_uid_than_announced_is_not_taken(
    listen: Callable[..., Receiver], make_study: MakeStudy
) -> None:
    opened = association(listen().port)
    (first, *_) = make_study()
    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = CT
    request.AffectedSOPInstanceUID = "1.2.3.4"
    request.Priority = 2
    from io import BytesIO

    from pynetdicom.dsutils import encode

    context = next(c for c in opened.accepted_contexts if c.abstract_syntax == CT)
    syntax = context.transfer_syntax[0]
    encoded = encode(first, syntax.is_implicit_VR, syntax.is_little_endian)
    assert encoded is not None
    request.DataSet = BytesIO(encoded)
    opened._reactor_checkpoint.clear()
    opened.dimse.send_msg(request, context.context_id)
    _, answer = opened.dimse.get_msg(block=True)
    opened._reactor_checkpoint.set()
    assert answer.Status == 0xA900
    opened.release()


def test_noise_and_silence_do_not_stop_the_receiver(
    listen: Callable[..., Receiver], make_study: MakeStudy
) -> None:
    port = listen(idle_s=1.0).port
    noisy = socket.create_connection(("127.0.0.1", port), timeout=5)
    silent = socket.create_connection(("127.0.0.1", port), timeout=5)
    noisy.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(1000))
    assert send(port, make_study()) == [0, 0, 0]
    noisy.close()
    silent.close()


def test_tls_with_callers_certificates(
    listen: Callable[..., Receiver], make_study: MakeStudy, tmp_path: Path
) -> None:
    import ssl
    import subprocess

    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificates")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    subprocess.run(
        [openssl, *request, "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    files = {"tls_certificate": str(certificate), "tls_key": str(key)}
    port = listen(**files, tls_callers=str(certificate)).port
    context = ssl.create_default_context(cafile=certificate)
    context.load_cert_chain(certificate, key)
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(CT)
    opened = entity.associate(
        "127.0.0.1", port, ae_title="GATEWAY", tls_args=(context, "localhost")
    )
    assert opened.is_established
    assert [opened.send_c_store(each).Status for each in make_study()] == [0, 0, 0]
    opened.release()
    assert not association(port).is_established


MPPS = "1.2.840.10008.3.1.2.3.3"
IAN = "1.2.840.10008.5.1.4.33"


def telling(port: int) -> Any:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(MPPS)
    entity.add_requested_context(IAN)
    return entity.associate("127.0.0.1", port, ae_title="GATEWAY")


def listing(study: list[Dataset], *, group: str, images: str) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = study[0].SeriesInstanceUID
    items = []
    for each in study:
        item = Dataset()
        item.ReferencedSOPClassUID = each.SOPClassUID
        item.ReferencedSOPInstanceUID = each.SOPInstanceUID
        items.append(item)
    setattr(series, images, items)
    told = Dataset()
    setattr(told, group, [series])
    return told


def verdicts(store: Store) -> list[str]:
    watch = Watch(store, CompletenessKeys(quiet_s=1000.0))
    return [verdict.by for _, verdict in watch.look()]


def test_a_modality_says_when_its_step_is_completed(
    listen: Callable[..., Receiver], make_study: MakeStudy, store: Store
) -> None:
    port, study = listen().port, make_study()
    begun, step = Dataset(), Dataset()
    step.StudyInstanceUID = study[0].StudyInstanceUID
    begun.ScheduledStepAttributesSequence = [step]
    begun.PerformedProcedureStepStatus = "IN PROGRESS"
    opened = telling(port)
    assert opened.send_n_create(begun, MPPS, "1.2.3.4")[0].Status == 0
    send(port, study[:2])
    assert verdicts(store) == [""]
    told = listing(study, group="PerformedSeriesSequence", images="ReferencedImageSequence")
    told.PerformedProcedureStepStatus = "COMPLETED"
    assert opened.send_n_set(told, MPPS, "1.2.3.5")[0].Status == 0x0112
    assert opened.send_n_set(told, MPPS, "1.2.3.4")[0].Status == 0
    opened.release()
    assert verdicts(store) == [""]
    send(port, study[2:])
    assert verdicts(store) == ["mpps"]


def test_an_archive_says_what_is_available(
    listen: Callable[..., Receiver], make_study: MakeStudy, store: Store
) -> None:
    port, study = listen().port, make_study()
    send(port, study)
    told = listing(study, group="ReferencedSeriesSequence", images="ReferencedSOPSequence")
    opened = telling(port)
    assert opened.send_n_create(told, IAN, "1.2.3.6")[0].Status == 0x0110
    told.StudyInstanceUID = study[0].StudyInstanceUID
    assert opened.send_n_create(told, IAN, "1.2.3.6")[0].Status == 0
    opened.release()
    assert verdicts(store) == ["ian"]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(st.binary(max_size=60) | st.sampled_from(PDU_HEADS), max_size=6))
def test_no_bytes_stop_the_receiver(pieces: list[bytes], hostile_port: int) -> None:
    address = ("127.0.0.1", hostile_port)
    with socket.create_connection(address, timeout=5) as peer, suppress(OSError):
        for piece in pieces:
            peer.sendall(piece)


_TRIES = 20


@pytest.fixture(scope="module")
def hostile_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A receiver that answers as before when all is over."""
    folder = tmp_path_factory.mktemp("hostile")
    opened = Store(StoreKeys(folder=folder, keep_free_mib=0))
    keys = read_table(DicomKeys, KEYS | {"idle_s": 0.5}, "dicom")
    receiver = start_receiver(keys, Intake(opened))
    yield receiver.port
    last = association(receiver.port)
    for _ in range(_TRIES):  # connections that say nothing more end after a while
        if last.is_established:
            break
        time.sleep(0.5)
        last = association(receiver.port)
    assert last.send_c_echo().Status == 0
    last.release()
    receiver.close()
    opened.close()
