"""STOW-RS over real sockets: an answer for each part, and bodies of unknown origin."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from isocenter.core.errors import SettingRefused
from isocenter.core.multipart import BodyRefused, MultipartParser
from isocenter.gateway.configuration.configuration import WebKeys
from isocenter.gateway.configuration.keys import read_table
from isocenter.gateway.receive.intake import Intake
from isocenter.gateway.receive.stow import WebServer, start_web
from isocenter.gateway.store.store import Store

MakeStudy = Callable[..., list[Dataset]]
TYPE = 'multipart/related; type="application/dicom"; boundary=mark'


@pytest.fixture
def listen(intake: Intake) -> Iterator[Callable[..., str]]:
    opened: list[WebServer] = []

    def start(**changes: Any) -> str:
        opened.append(start_web(read_table(WebKeys, {"port": 0} | changes, "web"), intake))
        return f"http://127.0.0.1:{opened[-1].port}/studies"

    yield start
    for each in opened:
        each.close()


def encoded(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def body_of(parts: list[bytes], *, end: bytes = b"\r\n--mark--\r\n") -> bytes:
    head = b"--mark\r\nContent-Type: application/dicom\r\n\r\n"
    return b"\r\n".join(head + part for part in parts) + end


def post(url: str, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(url, content=body, headers={"Content-Type": TYPE} | headers, timeout=10)


def uids_in(answer: httpx.Response, tag: str) -> set[str]:
    items = answer.json().get(tag, {}).get("Value", [])
    return {item["00081155"]["Value"][0] for item in items}


def test_every_part_is_stored_and_listed(
    listen: Callable[..., str], make_study: MakeStudy, store: Store
) -> None:
    study = make_study()
    answer = post(listen(), body_of([encoded(each) for each in study]))
    assert answer.status_code == 200
    assert uids_in(answer, "00081199") == {each.SOPInstanceUID for each in study}
    assert len(list(store.spool.kept())) == 3


def test_a_bad_part_among_good_ones_is_named_apart(
    listen: Callable[..., str], make_study: MakeStudy
) -> None:
    first, second, _ = map(encoded, make_study())
    answer = post(listen(), body_of([first, second[:-40], b"no DICOM"]))
    assert answer.status_code == 202
    assert len(uids_in(answer, "00081199")) == 1
    reasons = [each["00081197"]["Value"] for each in answer.json()["0008119A"]["Value"]]
    assert reasons == [[0xC000], [0xC000]]


def test_an_instance_of_another_study_is_refused(
    listen: Callable[..., str], make_study: MakeStudy, store: Store
) -> None:
    answer = post(listen() + "/1.2.3", body_of([encoded(make_study()[0])]))
    assert answer.status_code == 409
    assert len(uids_in(answer, "00081198")) == 1
    assert not list(store.spool.kept())


def test_what_came_before_a_body_broke_off_is_listed(
    listen: Callable[..., str], make_study: MakeStudy
) -> None:
    first, second, _ = map(encoded, make_study())
    answer = post(listen(), body_of([first, second], end=b""))
    assert answer.status_code == 400
    assert len(uids_in(answer, "00081199")) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": 'multipart/related; boundary="' + "x" * 71 + '"'}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, 415),
        ({}, 400),
    ],
)
def test_other_bodies_are_refused(
    listen: Callable[..., str], headers: dict[str, str], status: int
) -> None:
    assert post(listen(), b"no body of parts", **headers).status_code == status


def test_bodies_and_parts_have_limits(
    listen: Callable[..., str], make_study: MakeStudy, store: Store
) -> None:
    large = encoded(make_study(size=800)[0])
    assert post(listen(largest_body_mib=1), body_of([large])).status_code == 413
    assert post(listen(largest_instance_mib=1), body_of([large])).status_code == 409
    many = body_of([b"x"] * 4)
    assert post(listen(most_parts=3), many).status_code == 400
    assert not list(store.spool.kept())
    assert not list(store.spool.incoming.iterdir())


def test_a_body_that_stops_coming_is_ended(listen: Callable[..., str], store: Store) -> None:
    url = httpx.URL(listen(slowest_s=0.3))
    with socket.create_connection((url.host, url.port or 80), timeout=5) as silent:
        head = f"POST /studies HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}\r\n"
        silent.sendall(f"{head}Content-Length: 1000\r\n\r\n--mark\r\n\r\nsome".encode())
        assert b" 408 " in silent.recv(1000)
    assert not list(store.spool.incoming.iterdir())


def test_a_token_is_asked_for(
    listen: Callable[..., str], make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", "long and secret")
    url, body = listen(token_env="TOKEN_OF_TEST"), body_of([encoded(make_study()[0])])
    assert post(url, body).status_code == 401
    assert post(url, body, Authorization="Bearer other").status_code == 401
    assert post(url, body, Authorization="Bearer long and secret").status_code == 200


def test_others_may_not_send_without_a_token() -> None:
    with pytest.raises(SettingRefused, match="token_env"):
        read_table(WebKeys, {"host": "0.0.0.0"}, "web")


class Kept:
    def __init__(self) -> None:
        self.content = b""
        self.has_ended = False

    def write(self, piece: bytes) -> None:
        self.content += piece

    def end(self) -> None:
        self.has_ended = True


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_parts_are_the_same_however_the_body_is_cut(step: int) -> None:
    parts = [b"\r\n--mar", b"", b"--mark\r\n--marx\r\n", bytes(range(256))]
    kept: list[Kept] = []

    def start(_: str) -> Kept:
        kept.append(Kept())
        return kept[-1]

    parser = MultipartParser("mark", start, most_parts=10)
    body = body_of(parts)
    for place in range(0, len(body), step):
        parser.feed(body[place : place + step])
    assert [each.content for each in kept] == [parts[0], parts[1], parts[2], parts[3]]
    assert all(each.has_ended for each in kept)
    assert parser.is_whole


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n--mark", b"--", b"\r\n\r\n"])))
def test_no_body_does_more_than_be_refused(pieces: list[bytes]) -> None:
    parser = MultipartParser("mark", lambda _: Kept(), most_parts=3)
    with suppress(BodyRefused):
        for piece in pieces:
            parser.feed(piece)


def test_endless_heads_are_refused() -> None:
    parser = MultipartParser("mark", lambda _: Kept(), most_parts=10)
    with pytest.raises(BodyRefused):
        parser.feed(b"--mark\r\n" + b"x" * 20_000)
