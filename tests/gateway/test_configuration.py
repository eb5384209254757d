"""One file: read whole or refused in words, and every key documented."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from isocenter.core.errors import SettingRefused
from isocenter.gateway.configuration.configuration import Configuration, read_configuration
from isocenter.gateway.configuration.keys import all_keys
from isocenter.gateway.rules.decide import checked_rules

PAGE = Path(__file__).parents[2] / "docs" / "gateway.md"
SOUND = """
[store]
folder = "store"

[dicom]
peers = [{ ae_title = "CT1", addresses = ["10.0.0.0/8"] }]

[[archives]]
name = "main"
url = "https://archive/dicom-web"

[[rules]]
name = "low-dose chest"
task = "enhance"
to = ["main"]
settings.strength = "low"
[rules.inputs.input]
Modality = "CT"
"""


def read(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    configuration = read_configuration(path)
    checked_rules(configuration)
    return configuration


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    configuration = read(tmp_path, SOUND)
    assert configuration.archive("main").verify == "read_back"
    assert configuration.store.database_url.startswith("sqlite:///")
    (rule,) = checked_rules(configuration)
    assert rule.settings["strength"] == 0.25


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[store]", "[stor]", "stor: there is no such key; did you mean store"),
        ('folder = "store"', "", "store.folder is missing"),
        ('folder = "store"', "folder = 3", "store.folder must name a file or folder, got 3"),
        ("[dicom]", '[dicom]\nport = "x"', "dicom.port must be a whole number, got 'x'"),
        ("[dicom]", "[dicom]\nport = 70000", "dicom.port must be at least 0 and at most 65535"),
        ("10.0.0.0/8", "10.0.0.0/99", "dicom.peers[0].addresses takes IP addresses"),
        ('"CT1"', '"A NAME THAT IS TOO LONG"', "dicom.peers[0].ae_title must be 1 to 16"),
        ("https:", "ftp:", "archives[0].url must be http"),
        ('"main"]', '"other"]', "names the archive 'other'; there are main"),
        ('"enhance"', '"enhanse"', "there is no task 'enhanse'; did you mean enhance?"),
        ('"low"', '"strong"', "rules (low-dose chest).settings: strength must be"),
        ("inputs.input", "inputs.scan", "inputs.scan: enhance reads input"),
        ("Modality", "Modalty", "Modalty: rules do not know this keyword; did you mean Modality?"),
        ("[store]", "[store", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SOUND
    with pytest.raises(SettingRefused, match=re.escape(words)):
        read(tmp_path, SOUND.replace(old, new, 1))


def test_no_strangers(tmp_path: Path) -> None:
    with pytest.raises(SettingRefused, match=r"dicom\.peers is empty"):
        read(tmp_path, '[store]\nfolder = "x"\n[dicom]\n')


def documented() -> set[str]:
    return set(re.findall(r"^\| `([a-z_.\[\]]+)` \|", PAGE.read_text(), re.M))


def test_every_key_is_documented_and_no_other() -> None:
    assert documented() == {name for name, _ in all_keys(Configuration)}


def test_the_example_of_the_page_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: Any = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S)
    assert blocks
    read(tmp_path, blocks[0])
