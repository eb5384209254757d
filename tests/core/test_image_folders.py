from __future__ import annotations

from pathlib import Path

import pytest

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.core.image_folders import place_of, table_rows


def test_cells_come_by_the_names_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufefffile, class\n1.png , round \n2.png\n3.png,long,more\n", encoding="utf-8")
    assert table_rows(path) == [
        {"file": "1.png", "class": "round"},
        {"file": "2.png", "class": ""},
        {"file": "3.png", "class": "long"},
    ]


def test_a_column_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,file \n1.png,2.png\n")
    with pytest.raises(InputRefused, match="twice"):
        table_rows(tmp_path / "labels.csv")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"file\n\xff\xfe.png\n")
    with pytest.raises(UnreadableInput, match="UTF-8"):
        table_rows(tmp_path / "labels.csv")


@pytest.mark.parametrize("name", ["1.png", "images/1.png"])
def test_a_file_is_found_with_and_without_the_folder_in_front(tmp_path: Path, name: str) -> None:
    assert place_of(tmp_path / "images", name) == tmp_path / "images" / "1.png"


@pytest.mark.parametrize("name", ["", "images", "../1.png", "a/../../1.png", "/1.png", "C:/1.png"])
def test_a_name_that_leads_out_has_no_place(tmp_path: Path, name: str) -> None:
    assert place_of(tmp_path / "images", name) is None
