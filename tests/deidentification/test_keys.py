"""Replacements are functions of a secret; the secret stays with its owner."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocenter.core.errors import OutputRefused, SettingRefused
from isocenter.deidentification.keys import (
    LEAST_SHIFT_DAYS,
    MOST_SHIFT_DAYS,
    SecretKey,
    key_of,
    new_key,
)
from isocenter.dicom.reading.identity import is_uid


@settings(max_examples=30)
@given(st.text(max_size=80))
def test_replacements_are_of_the_form_that_they_replace(text: str) -> None:
    key = SecretKey(secret=bytes(32))
    assert is_uid(key.name("uid", text))
    assert len(key.name("uid", text)) <= 64
    assert len(key.pseudonym(text)) == 16
    assert key.pseudonym(text).isalnum()
    assert LEAST_SHIFT_DAYS <= -key.shift_days(text) <= MOST_SHIFT_DAYS
    assert key.uid("1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"


def test_replacements_differ_by_key_by_text_and_by_role() -> None:
    one, other = SecretKey(secret=bytes(32)), new_key()
    assert one.uid("1.2.3") != other.uid("1.2.3")
    assert one.uid("1.2.3") != one.uid("1.2.4")
    assert one.name("a", "1.2.3") != one.name("b", "1.2.3")
    assert one.mark != other.mark


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deid.key"
    made = key_of(path)
    assert key_of(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["deid.key"]


def test_a_key_does_not_show_itself() -> None:
    key = new_key()
    assert key.secret.hex() not in repr(key) + str(key)
    assert key.mark not in key.secret.hex()


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deid.key"
    key_of(path)
    path.chmod(0o640)
    with pytest.raises(SettingRefused, match="chmod 600"):
        key_of(path)


@pytest.mark.parametrize("content", [b"", b"abcd", b"x" * 64, b"\xff\xfe" * 40, b"00" * 31])
def test_what_is_no_key_is_refused_without_being_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "deid.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingRefused) as refused:
        key_of(path)
    assert "xxxx" not in str(refused.value)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(SettingRefused, match="no file"):
        key_of(tmp_path)


def test_a_place_that_is_no_folder_takes_no_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((OutputRefused, SettingRefused)):
        key_of(tmp_path / "file" / "deid.key")
