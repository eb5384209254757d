"""Gateways that start in milliseconds: forked from a process that has loaded everything."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module

from isocenter.gateway.configuration.configuration import Configuration
from isocenter.gateway.jobs.work import PRELOADED

_PATIENCE_S = 60.0


class Nursery:
    """Forks gateways, one at a time; make it before any thread is started."""

    def __init__(self, configuration: Configuration) -> None:
        for name in (*PRELOADED, "isocenter.gateway.service", "pynetdicom", "httpx"):
            import_module(name)
        orders, self._orders = os.pipe()
        self._born, born = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._orders)
            os.close(self._born)
            _rear(configuration, orders, born)
        os.close(orders)
        os.close(born)

    def start(self) -> int:
        """Start a gateway and wait until it listens; gives its process."""
        os.write(self._orders, b"s")
        return self._read_number()

    def _read_number(self) -> int:
        text = b""
        while not text.endswith(b"\n"):
            piece = os.read(self._born, 1)
            if not piece:
                raise RuntimeError("the nursery has ended")
            text += piece
        number = int(text)
        if number < 0:
            raise RuntimeError("a gateway did not start")
        return number

    def kill(self, pid: int) -> None:
        """Kill a gateway as a power cut would, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        ends_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends_at:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.002)
        raise RuntimeError("a killed gateway is still there")

    def close(self) -> None:
        """End the nursery."""
        os.close(self._orders)
        os.close(self._born)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _rear(configuration: Configuration, orders: int, born: int) -> None:
    """The life of the nursery; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that are killed leave nothing
    try:
        while os.read(orders, 1):
            if os.fork() == 0:
                os.close(orders)
                _be_a_gateway(configuration, born)
    finally:
        os._exit(0)


def _be_a_gateway(configuration: Configuration, born: int) -> None:
    from isocenter.gateway.service import Gateway

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        with Gateway(configuration) as gateway:
            os.write(born, f"{os.getpid()}\n".encode())
            gateway.wait()
        os.write(born, b"-1\n")
    except BaseException as error:
        sys.stderr.write(f"gateway: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
        with suppress(OSError):
            os.write(born, b"-1\n")
    finally:
        os._exit(1)
