from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.image import picture_files
from isocenter.image.picture_files import open_picture

LEVELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_pixels_are_there_once_the_file_is_closed(tmp_path: Path) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    assert np.array_equal(np.asarray(picture), LEVELS)


def test_other_formats_are_refused_whatever_their_name(tmp_path: Path) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "a.png", format="TIFF")
    with pytest.raises(UnreadableInput, match="row 3 is missing, damaged or no PNG or JPEG file"):
        open_picture(tmp_path / "a.png", what="row 3")
    assert open_picture(tmp_path / "a.png", formats=("TIFF",)).size == (4, 3)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(50)])
def test_missing_and_damaged_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableInput):
        open_picture(tmp_path / "a.png")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with pytest.raises(UnreadableInput):
        open_picture(tmp_path / "a.png")


def test_what_is_larger_than_pictures_are_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "MOST_SIDE", 3)
    Image.fromarray(LEVELS).save(tmp_path / "a.png")
    with pytest.raises(InputRefused, match="4 x 3 pixels; up to 3 x 3"):
        open_picture(tmp_path / "a.png")
