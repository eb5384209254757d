"""Archives that lie, fill up, fall silent or refuse: what arrives, what waits, what is dead."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gateway_kills.archive_double import ArchiveDouble, response_of
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from sqlalchemy import insert, select

from isocenter.core.errors import InputRefused
from isocenter.dicom.network.commitment import Commitments
from isocenter.dicom.reading.instance_facts import instance_facts
from isocenter.gateway.configuration.configuration import Archive, DicomKeys, RetryKeys
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.deliver.answers import of_status, of_stow
from isocenter.gateway.deliver.dead_letters import dead_letters, drop, mend, named, send_again
from isocenter.gateway.deliver.outbox import Outbox, pause_s
from isocenter.gateway.receive.dimse import start_receiver
from isocenter.gateway.receive.intake import Intake
from isocenter.gateway.store.queueing import enter_result
from isocenter.gateway.store.schema import deliveries, jobs
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]
RETRY = RetryKeys(first_s=10.0, longest_s=100.0, give_up_hours=1.0)


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("isocenter.gateway.store.queueing.time.time", found)
    return found


@pytest.fixture
def uids(store: Store, make_study: MakeStudy, clock: Clock) -> list[str]:
    """Three results of a job that is done, due to the archive "main"."""
    with store.database.writing() as connection:
        values: dict[str, Any] = dict.fromkeys(("reason", "message", "supersedes", "worker"), "")
        values |= {"id": "k" * 64, "study_uid": "1.2", "task": "copy", "at": 0.0, "rule": "try"}
        values |= {"generation": 1, "priority": 0, "failures": 0, "state": "done"}
        connection.execute(insert(jobs).values(request={}, destinations=["main"], **values))
        job = connection.execute(select(jobs)).one()
    found = []
    for dataset in make_study():
        with store.spool.part() as part:
            dataset.save_as(part, enforce_file_format=True)
            facts = instance_facts(part)
            path, _, num_bytes = store.spool.keep(part, made=True)
        row = {name: getattr(facts, name) for name in vars(facts) if name != "described"}
        with store.database.writing() as connection:
            enter_result(connection, job, row | {"path": path, "num_bytes": num_bytes})
        found.append(facts.sop_uid)
    return found


@pytest.fixture
def outbox(store: Store, archive: ArchiveDouble, clock: Clock) -> Iterator[Outbox]:
    keys = read_table(Archive, {"name": "main", "url": archive.url, "timeout_s": 2.0})
    opened = Outbox(store, keys, RETRY, clock=clock, rng=random.Random(0))
    yield opened
    opened.close()


def rows_of(store: Store) -> list[Any]:
    with store.database.reading() as connection:
        return list(connection.execute(select(deliveries).order_by(deliveries.c.id)))


def states(store: Store) -> list[str]:
    return [row.state for row in rows_of(store)]


def until_nothing_is_due(outbox: Outbox) -> None:
    for _ in range(20):
        if not outbox.deliver_some():
            return


def test_what_was_read_back_is_delivered(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str]
) -> None:
    assert outbox.deliver_some()
    assert not outbox.deliver_some()
    assert states(store) == ["delivered"] * 3
    assert set(archive.held) == set(uids)
    assert archive.posts == [uids]


def test_an_answer_of_200_with_a_failure_in_it_is_no_delivery(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    def full(files: dict[str, bytes]) -> tuple[int, bytes]:
        first = uids[0]
        archive.keep({first: files[first]})
        return 200, response_of([first], dict.fromkeys(uids[1:], 0xA700))

    archive.behave = full
    outbox.deliver_some()
    assert states(store) == ["delivered", "due", "due"]
    assert not outbox.deliver_some()
    archive.behave = None
    clock.now += RETRY.first_s
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered"] * 3


def test_an_answer_of_400_that_stored_some_is_believed_by_reading_back(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    def half(files: dict[str, bytes]) -> tuple[int, bytes]:
        archive.keep({uids[0]: files[uids[0]]})
        return 400, b"<html>Bad Request</html>"

    archive.behave = half
    outbox.deliver_some()
    assert states(store) == ["delivered", "due", "due"]


def test_an_archive_that_says_stored_and_forgets_is_asked_again(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    archive.behave = lambda files: (200, response_of(list(files), {}))
    outbox.deliver_some()
    assert {row.state for row in rows_of(store)} == {"due"}
    assert "when asked it has nothing" in rows_of(store)[0].message
    archive.behave = None
    clock.now += RETRY.first_s
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered"] * 3


def test_an_archive_that_keeps_other_pixels_under_our_uid_gives_a_dead_letter(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], make_study: MakeStudy
) -> None:
    from io import BytesIO

    other = make_study()[0]
    assert other.SOPInstanceUID == uids[0]
    other.PixelData = bytes(len(other.PixelData))
    file = BytesIO()
    other.save_as(file, enforce_file_format=True)
    archive.held[uids[0]] = file.getvalue()
    outbox.deliver_some()
    assert states(store) == ["dead", "delivered", "delivered"]
    (letter,) = dead_letters(store)
    assert letter.reason == "other_pixels"
    assert archive.held[uids[0]] == file.getvalue()


def test_what_has_arrived_is_not_sent_again(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    def lost_answer(files: dict[str, bytes]) -> tuple[int, bytes]:
        archive.keep(files)
        archive.reads = False
        return 500, b""

    archive.behave = lost_answer
    outbox.deliver_some()
    assert states(store) == ["due"] * 3
    archive.reads = True
    clock.now += RETRY.first_s
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered"] * 3
    assert len(archive.posts) == 1


def test_a_silent_archive_is_waited_for_no_longer_than_told(
    store: Store, archive: ArchiveDouble, uids: list[str], clock: Clock
) -> None:
    keys = read_table(Archive, {"name": "main", "url": archive.url, "timeout_s": 0.2})
    outbox = Outbox(store, keys, RETRY, clock=clock)
    archive.silence_s = 0.8
    outbox.deliver_some()
    outbox.close()
    assert states(store) == ["due"] * 3
    assert rows_of(store)[0].message == "it did not answer in time"


def test_an_archive_that_is_down_gives_dead_letters_only_in_the_end(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    archive.behave = lambda files: (503, b"")
    for _ in range(30):
        until_nothing_is_due(outbox)
        clock.now += RETRY.longest_s
    assert states(store) == ["due"] * 3
    clock.now += 3600.0
    until_nothing_is_due(outbox)
    assert states(store) == ["dead"] * 3
    archive.behave = None
    send_again(store, named(store, ["all"]))
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered"] * 3
    assert not dead_letters(store)


def test_a_clock_that_was_set_back_delays_nothing(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    archive.behave = lambda files: (503, b"")
    outbox.deliver_some()
    archive.behave = None
    clock.now -= 10 * 365 * 86400.0
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered"] * 3


def test_one_bad_object_does_not_hold_up_its_neighbors(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str], clock: Clock
) -> None:
    def picky(files: dict[str, bytes]) -> tuple[int, bytes]:
        return (400, b"") if uids[1] in files else archive.keep(files)

    archive.behave = picky
    outbox.deliver_some()
    assert states(store) == ["due"] * 3
    clock.now += RETRY.first_s
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered", "dead", "delivered"]


def test_a_dead_letter_is_mended_by_a_file_of_the_same_pixels_only(
    outbox: Outbox,
    archive: ArchiveDouble,
    store: Store,
    uids: list[str],
    make_study: MakeStudy,
    tmp_path: Path,
) -> None:
    archive.behave = lambda files: (200, response_of([], dict.fromkeys(files, 0xA900)))
    outbox.deliver_some()
    assert states(store) == ["dead"] * 3
    (letter, *others) = dead_letters(store)
    mended, other = make_study()[:2]
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    with pytest.raises(InputRefused, match="another object"):
        mend(store, letter, tmp_path / "other.dcm")
    mended.SeriesDescription = "mended"
    mended.save_as(tmp_path / "mended.dcm", enforce_file_format=True)
    mend(store, letter, tmp_path / "mended.dcm")
    drop(store, others)
    archive.behave = None
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered", "dropped", "dropped"]
    assert b"mended" in archive.held[uids[0]]
    assert not dead_letters(store)


def test_a_dead_letter_may_go_elsewhere(
    outbox: Outbox, archive: ArchiveDouble, store: Store, uids: list[str]
) -> None:
    archive.behave = lambda files: (200, response_of([], dict.fromkeys(files, 0xC000)))
    outbox.deliver_some()
    send_again(store, named(store, ["all"]), archive="second")
    rows = rows_of(store)
    assert [row.state for row in rows] == ["dropped"] * 3 + ["due"] * 3
    assert {row.archive for row in rows[3:]} == {"second"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, "accepted"),
        (0xB000, "accepted"),
        (0xB006, "accepted"),
        (0xA700, "transient"),
        (0x0110, "transient"),
        (0x0111, "unknown"),
        (0xA900, "permanent"),
        (0xC123, "permanent"),
        (0x0122, "permanent"),
    ],
)
def test_a_status_means(status: int, kind: str) -> None:
    assert of_status(status).kind == kind


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"00081199": 3}',
        b'{"00081199": {"Value": [1]}}',
        b'{"00081198": {"Value": [{"00081155": {"Value": [{}]}}]}}',
    ],
)
def test_bodies_that_say_nothing_prove_nothing(body: bytes | None) -> None:
    assert of_stow(200, body, ["1.2"])["1.2"].kind == "unknown"
    assert of_stow(500, body, ["1.2"])["1.2"].kind == "transient"
    assert of_stow(400, body, ["1.2"])["1.2"].kind == "permanent"
    assert of_stow(400, body, ["1.2", "1.3"])["1.2"].kind == "transient"


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    rng = random.Random(1)
    for attempts in range(1, 2000, 7):
        longest = min(RETRY.longest_s, RETRY.first_s * 2.0 ** min(attempts - 1, 60))
        assert longest / 2 <= pause_s(attempts, RETRY, rng) <= longest
    assert len({pause_s(3, RETRY, rng) for _ in range(20)}) == 20


@pytest.fixture
def storage() -> Iterator[Any]:
    """A C-STORE archive that answers with the statuses it is told."""
    statuses: list[int] = []
    kept: list[str] = []

    def store_it(event: Any) -> int:
        status = statuses.pop(0) if statuses else 0
        if status == 0:
            kept.append(str(event.request.AffectedSOPInstanceUID))
        return status

    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2")
    entity.require_called_aet = True
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store_it)]
    )
    assert server is not None
    yield server.server_address[1], statuses, kept
    server.shutdown()


def test_results_go_by_c_store(store: Store, uids: list[str], clock: Clock, storage: Any) -> None:
    port, statuses, kept = storage
    statuses += [0xA700, 0xC000]
    table = {"name": "main", "send": "dicom", "host": "127.0.0.1", "port": port, "timeout_s": 5.0}
    keys = read_table(Archive, table | {"ae_title": "ARCHIVE", "verify": "none"})
    outbox = Outbox(store, keys, RETRY, clock=clock)
    outbox.deliver_some()
    assert states(store) == ["due", "dead", "delivered"]
    clock.now += RETRY.first_s
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered", "dead", "delivered"]
    assert kept == [uids[2], uids[0]]
    outbox.close()


def test_an_archive_that_rejects_us_is_tried_again(
    store: Store, uids: list[str], clock: Clock, storage: Any
) -> None:
    port, _, kept = storage
    table = {"name": "main", "send": "dicom", "host": "127.0.0.1", "port": port, "timeout_s": 5.0}
    keys = read_table(Archive, table | {"ae_title": "OTHER", "verify": "none"})
    outbox = Outbox(store, keys, RETRY, clock=clock)
    outbox.deliver_some()
    outbox.close()
    assert states(store) == ["due"] * 3
    assert not kept


COMMITMENT = "1.2.840.10008.1.20.1"


class Committing:
    """An archive that reports on storage commitment over the same or an association of its own."""

    def __init__(self, own_port: int = 0) -> None:
        self.kept: list[str] = []
        self.answers_for: set[str] = set()
        self.asked: list[list[str]] = []
        self._own_port = own_port
        entity = AE(ae_title="ARCHIVE")
        entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2")
        entity.add_supported_context(COMMITMENT)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._asked_for),
        ]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.server = server
        self.port = server.server_address[1]

    def _store(self, event: Any) -> int:
        self.kept.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _asked_for(self, event: Any) -> tuple[int, None]:
        asked = event.action_information
        items = {str(one.ReferencedSOPInstanceUID): one for one in asked.ReferencedSOPSequence}
        self.asked.append(list(items))
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        report.ReferencedSOPSequence = [one for uid, one in items.items() if self._has(uid)]
        failed = [one for uid, one in items.items() if not self._has(uid)]
        for one in failed:
            one.FailureReason = 0x0112
        if failed:
            report.FailedSOPSequence = failed
        threading.Thread(target=self._report, args=(report, event.assoc)).start()
        return 0, None

    def _has(self, uid: str) -> bool:
        return uid in self.kept and uid in self.answers_for

    def _report(self, report: Dataset, same: Any) -> None:
        kind = 2 if "FailedSOPSequence" in report else 1
        instance = "1.2.840.10008.1.20.1.1"
        if not self._own_port:
            same.send_n_event_report(report, kind, COMMITMENT, instance)
            return
        entity = AE(ae_title="ARCHIVE")
        entity.add_requested_context(COMMITMENT)
        role = build_role(COMMITMENT, scp_role=True)
        opened = entity.associate("127.0.0.1", self._own_port, ae_title="ISOCENTER", ext_neg=[role])
        opened.send_n_event_report(report, kind, COMMITMENT, instance)
        opened.release()


@pytest.mark.parametrize("over", ["the same association", "one of its own"])
def test_results_count_when_the_archive_commits_itself(
    store: Store, uids: list[str], clock: Clock, over: str
) -> None:
    commitments = Commitments()
    keys = {"port": 0, "peers": [{"ae_title": "ARCHIVE", "addresses": ["127.0.0.1"]}]}
    receiver = start_receiver(read_table(DicomKeys, keys), Intake(store), commitments=commitments)
    archive = Committing(receiver.port if over == "one of its own" else 0)
    archive.answers_for = set(uids[1:])
    table = {"name": "main", "send": "dicom", "host": "127.0.0.1", "port": archive.port}
    table |= {"ae_title": "ARCHIVE", "verify": "commitment", "timeout_s": 5.0}
    outbox = Outbox(store, read_table(Archive, table), RETRY, commitments=commitments, clock=clock)
    outbox.deliver_some()
    assert states(store) == ["due", "delivered", "delivered"]
    archive.answers_for = set(uids)
    clock.now += RETRY.first_s
    until_nothing_is_due(outbox)
    assert states(store) == ["delivered"] * 3
    assert archive.kept == uids  # asked first, and not sent again
    outbox.close()
    receiver.close()
    archive.server.shutdown()
