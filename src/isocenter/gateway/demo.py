"""The gateway tried: a real Orthanc as archive, a phantom study sent as a scanner would."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from isocenter.core.errors import InputRefused, IsocenterError
from isocenter.core.files import write_text, writing_to
from isocenter.dicom.network.sending import Called, send_files
from isocenter.gateway.configuration.configuration import Configuration, read_configuration
from isocenter.gateway.deliver.dead_letters import dead_letters
from isocenter.gateway.service import Gateway
from isocenter.gateway.status import status_of
from isocenter.gateway.store.store import Store

ORTHANC = ("Orthanc", "/usr/sbin/Orthanc")
PLUGINS = (
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "/usr/lib/orthanc/libOrthancDicomWeb.so",
)
_START_S = 60.0
_LOOK_S = 0.1

_CONFIGURATION = """\
# Written by `isocenter gateway demo`.
[store]
folder = {store}
keep_free_mib = 64

[dicom]
ae_title = "ISOCENTER"
host = "127.0.0.1"
port = 0
peers = [{{ ae_title = "SCANNER", addresses = ["127.0.0.1"] }}]

[completeness]
quiet_s = 1.0

[[archives]]
name = "orthanc"
url = {url}

[[rules]]
name = "every CT"
task = {task}
to = ["orthanc"]
[rules.inputs.input]
Modality = "CT"
"""


class DemoFailed(IsocenterError):
    """What was to be shown did not come."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the archive holds at the end.

    Attributes:
        series: description and number of instances of each, as the archive tells.
        seconds: from the last image to the last delivery.
        jobs: how many, by state.
    """

    series: tuple[tuple[str, int], ...]
    seconds: float
    jobs: Mapping[str, int]


def demonstrate(
    scan: Path,
    folder: Path,
    *,
    task: str,
    patience_s: float,
    tell: Callable[[str], None],
) -> Shown:
    """Send a scan through a gateway into an Orthanc, both started here and ended again.

    Args:
        scan: folder of a CT series.
        folder: empty; keeps what both wrote.
        task: that the rule asks for.
        patience_s: for the task and the delivery.
        tell: hears of every step.

    Raises:
        InputRefused: Orthanc is not installed.
        DemoFailed: the result did not arrive.
    """
    program, plugin = installed_orthanc()
    port = free_port()
    url = f"http://127.0.0.1:{port}/dicom-web"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = write_text(folder / "gateway.toml", _configuration(folder, url, task))
    configuration = read_configuration(path)
    # The gateway forks before any thread starts, so it comes first.
    with Gateway(configuration) as gateway, orthanc(program, plugin, folder / "orthanc", port):
        tell(f"Orthanc listens at {url}, the gateway at port {gateway.dicom_port}")
        files = sorted(scan.glob("*.dcm"))
        called = Called(
            host="127.0.0.1",
            port=gateway.dicom_port,
            ae_title="ISOCENTER",
            own_ae_title="SCANNER",
        )
        statuses = send_files(files, called)
        if any(statuses):
            raise DemoFailed("the gateway did not take every image; see its folder")
        tell(f"Sent {len(files)} images as a scanner would; each was acknowledged")
        began = time.monotonic()
        jobs = _wait(configuration, patience_s)
        return Shown(series=_series_in(url), seconds=time.monotonic() - began, jobs=jobs)


def installed_orthanc() -> tuple[str, str]:
    """Orthanc and its DICOMweb plugin.

    Raises:
        InputRefused: one of them is not there.
    """
    program = next((found for name in ORTHANC if (found := shutil.which(name))), None)
    plugin = next((name for name in PLUGINS if Path(name).exists()), None)
    if program is None or plugin is None:
        raise InputRefused(
            "the demonstration needs Orthanc with its DICOMweb plugin; on Debian: "
            "apt-get install --no-install-recommends orthanc orthanc-dicomweb"
        )
    return program, plugin


@contextmanager
def orthanc(program: str, plugin: str, folder: Path, port: int) -> Iterator[None]:
    """An Orthanc of our own on this machine alone, while the block runs.

    Raises:
        DemoFailed: it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "Name": "Isocenter demonstration",
        "StorageDirectory": str(folder.absolute()),
        "IndexDirectory": str(folder.absolute()),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "Plugins": [plugin],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    file = write_text(folder / "orthanc.json", json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(file)], stdout=log, stderr=log)
        try:
            _wait_until_it_answers(process, port)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    ends_at = time.monotonic() + _START_S
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/system", trust_env=False)
        except httpx.HTTPError:
            time.sleep(_LOOK_S)
            continue
        if answer.status_code == 200:
            return
    raise DemoFailed("Orthanc did not start; see orthanc.log in the folder")


def _configuration(folder: Path, url: str, task: str) -> str:
    quoted = {
        "store": json.dumps(str((folder / "store").absolute())),
        "url": json.dumps(url),
        "task": json.dumps(task),
    }
    return _CONFIGURATION.format(**quoted)


def _wait(configuration: Configuration, patience_s: float) -> Mapping[str, int]:
    """Until all is delivered; gives how many jobs there are by state."""
    store = Store(configuration.store)
    try:
        ends_at = time.monotonic() + patience_s
        while time.monotonic() < ends_at:
            found = status_of(store)
            undone = {"queued", "running"} & set(found.jobs)
            if found.jobs and not undone and set(found.deliveries) <= {"delivered"}:
                return found.jobs
            if found.dead_letters:
                (letter, *_) = dead_letters(store)
                raise DemoFailed(f"it ended as a dead letter: {letter.message or letter.reason}")
            time.sleep(_LOOK_S)
    finally:
        store.close()
    raise DemoFailed(f"nothing arrived within {patience_s:g} s; give it longer with --patience")


def _series_in(url: str) -> tuple[tuple[str, int], ...]:
    answer = httpx.get(
        f"{url}/series?includefield=0008103E&includefield=00201209",
        headers={"Accept": "application/dicom+json"},
        trust_env=False,
    )
    return tuple(
        (str(_first(one, "0008103E") or "not described"), int(_first(one, "00201209") or 0))
        for one in answer.json()
    )


def _first(one: Mapping[str, Any], tag: str) -> Any:
    values = one.get(tag, {}).get("Value") or [None]
    return values[0]


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
