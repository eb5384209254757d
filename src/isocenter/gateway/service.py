"""The whole gateway in one process: threads that hold nothing that the store does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple

from isocenter.core.errors import IsocenterError
from isocenter.dicom.network.commitment import Commitments
from isocenter.gateway.complete.watch import Watch
from isocenter.gateway.configuration.configuration import Configuration
from isocenter.gateway.deliver.archive_web import WebArchive
from isocenter.gateway.deliver.outbox import Outbox
from isocenter.gateway.jobs.asking import limits_of
from isocenter.gateway.jobs.host import Host, HostEnded
from isocenter.gateway.jobs.work import PRELOADED, work
from isocenter.gateway.jobs.worker import Worker
from isocenter.gateway.receive.dimse import start_receiver
from isocenter.gateway.receive.intake import Intake
from isocenter.gateway.receive.stow import start_web
from isocenter.gateway.rules.decide import checked_rules
from isocenter.gateway.rules.deciding import decide_complete
from isocenter.gateway.store.database import StoreBusy
from isocenter.gateway.store.recovery import Recovered, recover
from isocenter.gateway.store.store import Store

WORKER = "gateway"
_IDLE_S = 0.2
_BUSY_PAUSE_S = 0.5


class _Life(NamedTuple):
    """What a thread does again and again, and how long it waits where there was nothing to do."""

    name: str
    do: Callable[[], bool]
    pause_s: float


class GatewayFailed(IsocenterError):
    """A part of the gateway ended that must not end; start it again."""

    reason = "gateway_failed"


class Gateway:
    """Runs from ``with`` on, until it is closed; one on a store folder.

    Attributes:
        dicom_port, web_port: where it listens; 0 where it does not.
        recovered: what the start found.
    """

    def __init__(self, configuration: Configuration) -> None:
        """Check everything that can be checked before anything listens.

        Raises:
            SettingRefused: a rule, a secret or an address.
        """
        self._configuration = configuration
        self._rules = checked_rules(configuration)
        self._stop = threading.Event()
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []
        self._failure: str = ""
        self.dicom_port = 0
        self.web_port = 0
        self.recovered = Recovered()

    def __enter__(self) -> Gateway:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is told to stop, or for some seconds.

        Raises:
            GatewayFailed: a part of it ended.
        """
        self._stop.wait(seconds)
        if self._failure:
            raise GatewayFailed(
                f"{self._failure} ended; nothing is lost: start the gateway again, it goes on"
            )

    def stop(self) -> None:
        """Ask it to stop; for signal handlers."""
        self._stop.set()

    def close(self) -> None:
        """Stop receiving, then everything else; what goes on is gone on with at the next start."""
        self._stop.set()
        self._stack.close()
        self._threads.clear()

    def _start(self) -> None:
        keys = self._configuration
        host = self._host()  # forked before the first thread, and before anything is open
        self._stack.callback(host.close)
        store = Store(keys.store)
        self._stack.callback(store.close)
        self._stack.enter_context(store.spool.only_user())
        self.recovered = recover(store, worker=WORKER)
        commitments = Commitments()
        lives = [*self._deliveries(store, commitments), self._decisions(store)]
        for number in range(keys.jobs.workers):
            worker = Worker(store, host.run, keys.jobs, name=WORKER)
            lives.append(_Life(f"worker {number + 1}", worker.work_once, _IDLE_S))
        # Closing goes backwards: receivers, the host so that workers end, threads, connections.
        self._stack.callback(self._join)
        self._stack.callback(host.close)
        for life in lives:
            self._begin(life)
        intake = Intake(store)
        if keys.dicom is not None:
            receiver = start_receiver(keys.dicom, intake, commitments=commitments)
            self._stack.callback(receiver.close)
            self.dicom_port = receiver.port
        if keys.web is not None:
            web = start_web(keys.web, intake)
            self._stack.callback(web.close)
            self.web_port = web.port

    def _host(self) -> Host:
        limits = limits_of(self._configuration.jobs)
        needs_torch = any(rule.task.load_model is not None for rule in self._rules)
        return Host(work, limits, preload=(*PRELOADED, *(("torch",) if needs_torch else ())))

    def _deliveries(self, store: Store, commitments: Commitments) -> Iterator[_Life]:
        for archive in self._configuration.archives:
            outbox = Outbox(store, archive, self._configuration.retry, commitments=commitments)
            self._stack.callback(outbox.close)
            yield _Life(f"delivery to {archive.name}", outbox.deliver_some, _IDLE_S)

    def _decisions(self, store: Store) -> _Life:
        keys = self._configuration.completeness
        count = None
        if keys.archive:
            web = WebArchive(self._configuration.archive(keys.archive))
            self._stack.callback(web.close)
            count = web.count
        watch = Watch(store, keys, count=count)
        device = self._configuration.jobs.device

        def decide() -> bool:
            watch.look()
            decide_complete(store, self._rules, device=device)
            return False

        return _Life("decisions", decide, min(keys.poll_s, _IDLE_S))

    def _begin(self, life: _Life) -> None:
        """Start a thread that does something again and again."""

        def live() -> None:
            while not self._stop.is_set():
                try:
                    if life.do():
                        continue
                except StoreBusy:
                    self._stop.wait(_BUSY_PAUSE_S)
                    continue
                except HostEnded:
                    self._fail("the process that runs jobs")
                    return
                except Exception as error:
                    self._fail(f"{life.name} ({type(error).__name__})")
                    raise
                self._stop.wait(life.pause_s)

        thread = threading.Thread(target=live, name=life.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _fail(self, what: str) -> None:
        if not self._stop.is_set():
            self._failure = what
            self._stop.set()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(30.0)
