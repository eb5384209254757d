"""Scanners that send, a gateway that is killed, an archive that keeps; and the count afterwards."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import func, select

from benchmarks.gateway_kills.archive_double import ArchiveDouble
from benchmarks.gateway_kills.nursery import Nursery
from isocenter.core.acquisition import CtAcquisition
from isocenter.core.volume import Geometry, Volume
from isocenter.dicom.network.quiet import pynetdicom
from isocenter.dicom.writing.phantom_scan import write_phantom_scan
from isocenter.gateway.configuration.configuration import Configuration
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.store.schema import deliveries, instances, jobs, results, steps, studies
from isocenter.gateway.store.store import Store

CT = "1.2.840.10008.5.1.4.1.1.2"
OPEN_STATES = ("open", "complete")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is tried.

    Attributes:
        kills: how often the gateway is killed.
        longest_life_s: a life is drawn evenly up to it.
        slices: of a study.
        seed: of studies, lives and duplicates.
        patience_s: after the last kill, for everything to end.
    """

    kills: int
    longest_life_s: float = 1.5
    slices: int = 4
    seed: int = 0
    patience_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Count:
    """What was found afterwards; the first six must be 0.

    Attributes:
        lost: acknowledged instances that are not in the store, or not as they were sent.
        doubled: instances of one UID more than once, in the store or in the archive.
        partial: jobs that are done with fewer results than slices, or series that the archive has
            in part.
        open_jobs: that never ended.
        failed: jobs and deliveries that ended as dead letters.
        foreign: objects in the archive that no job made.
        kills, studies, acknowledged, jobs, results: what was done.
        sent_again: objects that were sent to the archive more than once, which had them then.
        seconds: the whole trial.
    """

    lost: int
    doubled: int
    partial: int
    open_jobs: int
    failed: int
    foreign: int
    kills: int
    studies: int
    acknowledged: int
    jobs: int
    results: int
    sent_again: int
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether nothing was lost, doubled, partial, left or strange."""
        bad = (self.lost, self.doubled, self.partial, self.open_jobs, self.failed, self.foreign)
        return not any(bad)


@dataclass
class _Sent:
    """What the scanner has sent so far: data sets by UID, and which were acknowledged."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    num_studies: int = 0


def make_study(seed: int, *, slices: int = 4, size: int = 16) -> list[Dataset]:
    """A tiny phantom study; another seed is another one."""
    values = np.random.default_rng(seed).normal(0.0, 50.0, (slices, size, size))
    volume = Volume(
        array=values.astype(np.float32),
        geometry=Geometry(shape=values.shape, spacing_mm=(3.0, 3.0, 3.0)),
        unit="HU",
        acquisition=CtAcquisition(),
    )
    with tempfile.TemporaryDirectory() as folder:
        return [dcmread(path) for path in write_phantom_scan(volume, folder)]


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration_of(folder: Path, *, port: int, archive_url: str) -> Configuration:
    """A gateway that copies every CT series, in a hurry."""
    return read_table(
        Configuration,
        {
            "store": {"folder": str(folder), "keep_free_mib": 0},
            "dicom": {
                "ae_title": "GATEWAY",
                "port": port,
                "peers": [{"ae_title": "SCANNER", "addresses": ["127.0.0.1"]}],
            },
            "completeness": {"quiet_s": 0.2, "poll_s": 0.05},
            "jobs": {"memory_gib": 8.0, "minutes": 2.0},
            "retry": {"first_s": 0.05, "longest_s": 0.2},
            "archives": [{"name": "main", "url": archive_url, "timeout_s": 20.0}],
            "rules": [
                {
                    "name": "copy",
                    "task": "copy",
                    "to": ["main"],
                    "inputs": {"input": {"Modality": "CT"}},
                }
            ],
        },
    )


def try_kills(
    plan: Plan, folder: Path, *, told: Callable[[int], None] = lambda done: None
) -> Count:
    """Run a trial in an empty folder; ``told`` hears of every kill."""
    began = time.monotonic()
    port, archive_port = free_port(), free_port()
    configuration = configuration_of(
        folder / "store", port=port, archive_url=f"http://127.0.0.1:{archive_port}"
    )
    nursery = Nursery(configuration)
    archive = ArchiveDouble(port=archive_port)
    sent, stop = _Sent(), threading.Event()
    scanner = threading.Thread(target=_send, args=(sent, port, plan, stop), daemon=True)
    scanner.start()
    try:
        rng = random.Random(plan.seed)
        for done in range(plan.kills):
            pid = nursery.start()
            time.sleep(rng.uniform(0.0, plan.longest_life_s))
            nursery.kill(pid)
            told(done + 1)
        stop.set()
        pid = nursery.start()
        scanner.join(plan.patience_s)
        _wait_for_the_end(configuration, plan.patience_s)
        nursery.kill(pid)
    finally:
        stop.set()
        nursery.close()
        archive.close()
    return _count(configuration, sent, archive, plan, time.monotonic() - began)


def _send(sent: _Sent, port: int, plan: Plan, stop: threading.Event) -> None:
    """Send study after study, each until all is acknowledged; some instances twice."""
    rng = random.Random(plan.seed + 1)
    while not stop.is_set():
        study = make_study(plan.seed * 1_000_000 + sent.num_studies, slices=plan.slices)
        sent.num_studies += 1
        sent.datasets |= {str(each.SOPInstanceUID): each for each in study}
        waiting = study + rng.sample(study, 1)
        rng.shuffle(waiting)
        while waiting:
            waiting = _send_once(waiting, port, sent)
            time.sleep(0.02)


def _send_once(waiting: list[Dataset], port: int, sent: _Sent) -> list[Dataset]:
    """One association; gives what was not acknowledged."""
    entity = pynetdicom().AE(ae_title="SCANNER")
    entity.add_requested_context(CT)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    association = entity.associate("127.0.0.1", port, ae_title="GATEWAY")
    left = list(waiting)
    while association.is_established and left:
        try:
            status = association.send_c_store(left[0])
        except (RuntimeError, ValueError):
            break
        if "Status" not in status or status.Status != 0:
            break
        sent.acknowledged.add(str(left.pop(0).SOPInstanceUID))
    if association.is_established:
        association.release()
    return left


def _wait_for_the_end(configuration: Configuration, patience_s: float) -> None:
    """Until every study is decided, every job has ended and every delivery too."""
    store = Store(configuration.store)
    ends_at = time.monotonic() + patience_s
    while time.monotonic() < ends_at and _num_open(store):
        time.sleep(0.1)
    store.close()


def _num_open(store: Store) -> int:
    with store.database.reading() as connection:
        return sum(
            int(connection.scalar(select(func.count()).select_from(table).where(condition)) or 0)
            for table, condition in (
                (studies, studies.c.state.in_(OPEN_STATES)),
                (jobs, jobs.c.state.in_(("queued", "running"))),
                (deliveries, deliveries.c.state == "due"),
            )
        )


def _count(
    configuration: Configuration, sent: _Sent, archive: ArchiveDouble, plan: Plan, seconds: float
) -> Count:
    store = Store(configuration.store)
    with store.database.reading() as connection:
        rows = connection.execute(select(instances)).all()
        all_jobs = connection.execute(select(jobs)).all()
        made = connection.execute(select(results)).all()
        num_kept = connection.scalar(
            select(func.count()).select_from(steps).where(steps.c.name == "kept")
        )
        undelivered = connection.scalars(
            select(deliveries.c.state).where(deliveries.c.state != "delivered")
        ).all()
    held = {uid: dcmread(BytesIO(file)) for uid, file in archive.held.items()}
    done = [job for job in all_jobs if job.state == "done"]
    posted = [uid for post in archive.posts for uid in post]
    count = Count(
        lost=sum(not _is_kept(store, rows, sent.datasets[uid]) for uid in sent.acknowledged),
        doubled=len(rows)
        - len({row.sop_uid for row in rows})
        + abs(len(done) - int(num_kept or 0)),
        partial=_num_partial(done, made, held, sent),
        open_jobs=sum(job.state in ("queued", "running") for job in all_jobs)
        + sum(state == "due" for state in undelivered),
        failed=sum(job.state in ("failed", "refused") for job in all_jobs)
        + sum(state == "dead" for state in undelivered),
        foreign=len(set(held) - {row.sop_uid for row in made}),
        kills=plan.kills,
        studies=sent.num_studies,
        acknowledged=len(sent.acknowledged),
        jobs=len(all_jobs),
        results=len(made),
        sent_again=len(posted) - len(set(posted)),
        seconds=round(seconds, 1),
    )
    store.close()
    return count


def _is_kept(store: Store, rows: Any, dataset: Dataset) -> bool:
    """Whether an instance is in the store once, with the pixels that were sent."""
    found = [row for row in rows if row.sop_uid == dataset.SOPInstanceUID]
    if len(found) != 1:
        return False
    file = store.spool.file(found[0].path)
    return file.is_file() and dcmread(file).PixelData == dataset.PixelData


def _num_partial(done: Any, made: Any, held: Mapping[str, Dataset], sent: _Sent) -> int:
    """Jobs without a result for each slice, in the store and in the archive; and studies whose
    last result lacks a slice."""
    partial = 0
    latest: dict[str, Any] = {}
    for job in sorted(done, key=lambda each: each.generation):
        latest[job.study_uid] = job
        wanted = len(job.request["inputs"]["input"])
        of_job = [row.sop_uid for row in made if row.job_id == job.id]
        partial += len(of_job) != wanted or any(uid not in held for uid in of_job)
    for job in latest.values():
        whole = [
            dataset
            for uid, dataset in sent.datasets.items()
            if uid in sent.acknowledged and dataset.StudyInstanceUID == job.study_uid
        ]
        partial += len(job.request["inputs"]["input"]) != len(whole)
    return (
        partial + len({str(each.StudyInstanceUID) for each in sent.datasets.values()}) - len(latest)
    )
