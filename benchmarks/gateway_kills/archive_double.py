"""An archive over a real socket, for trials: it can lie, fill up, fall silent and forget."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread

SOP_UID = "00081155"


def response_of(stored: list[str], failed: dict[str, int]) -> bytes:
    """Store Instances Response."""
    document: dict[str, Any] = {}
    if stored:
        kept = [{SOP_UID: {"vr": "UI", "Value": [uid]}} for uid in stored]
        document["00081199"] = {"vr": "SQ", "Value": kept}
    if failed:
        items: list[dict[str, Any]] = [
            {SOP_UID: {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [code]}}
            for uid, code in failed.items()
        ]
        document["00081198"] = {"vr": "SQ", "Value": items}
    return json.dumps(document).encode()


class ArchiveDouble:
    """Keeps what is stored in memory.

    Attributes:
        held: files by SOP Instance UID.
        posts: UIDs of every request to store.
        behave: called for every request to store with its files by UID; gives status and body. None
            stores everything and says so.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.held: dict[str, bytes] = {}
        self.posts: list[list[str]] = []
        self.behave: Callable[[dict[str, bytes]], tuple[int, bytes]] | None = None
        self.silence_s = 0.0
        self.reads = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                files = _parts(body, self.headers["Content-Type"])
                outer.posts.append(list(files))
                time.sleep(outer.silence_s)
                self._say(*outer.store(files), "application/dicom+json")

            def do_GET(self) -> None:
                if self.path.startswith("/studies?"):
                    self._say(*outer.count(self.path), "application/dicom+json")
                    return
                file = outer.held.get(self.path.rpartition("/")[2])
                if file is None or not outer.reads:
                    self._say(404 if outer.reads else 500, b"", "text/plain")
                    return
                content = b"--m\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--m--"
                self._say(200, content, 'multipart/related; type="application/dicom"; boundary=m')

            def _say(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """Nothing: callers that gave up are meant."""

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def store(self, files: dict[str, bytes]) -> tuple[int, bytes]:
        if self.behave is not None:
            return self.behave(files)
        return self.keep(files)

    def keep(self, files: dict[str, bytes]) -> tuple[int, bytes]:
        """Store all; what is there already stays, as in Orthanc."""
        for uid, file in files.items():
            self.held.setdefault(uid, file)
        return 200, response_of(list(files), {})

    def count(self, path: str) -> tuple[int, bytes]:
        (study,) = re.findall(r"StudyInstanceUID=([0-9.]+)", path)
        number = sum(
            dcmread(BytesIO(file), stop_before_pixels=True).StudyInstanceUID == study
            for file in self.held.values()
        )
        found = [{"00201208": {"vr": "IS", "Value": [number]}}] if number else []
        return 200, json.dumps(found).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _parts(body: bytes, content_type: str) -> dict[str, bytes]:
    (boundary,) = re.findall(r"boundary=(\S+)", content_type)
    files = {}
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        file = part.partition(b"\r\n\r\n")[2][:-2]
        files[str(dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID)] = file
    return files
