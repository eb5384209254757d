from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.modelpack.generator.tiny import CHESTS, HEADS

from isocenter.core.errors import InputRefused, UnreadableInput
from isocenter.tasks.generate.references import read_reference

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_a_picture_spans_the_values_of_the_family(tmp_path: Path) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "other.png")
    assert np.array_equal(read_reference(tmp_path / "other.png", HEADS), LEVELS)
    hu = read_reference(tmp_path / "other.png", CHESTS)
    assert (hu.min(), hu.max()) == (-1024, 1024)
    np.save(tmp_path / "other.npy", LEVELS.astype(np.float32))
    assert np.array_equal(read_reference(tmp_path / "other.npy", HEADS), LEVELS)
    assert np.array_equal(read_reference(LEVELS, HEADS), LEVELS)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="does not exist"):
        read_reference(tmp_path / "none.png", HEADS)
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(InputRefused, match="other files are not read"):
        read_reference(tmp_path / "text.txt", HEADS)
    Image.fromarray(LEVELS).convert("P").save(tmp_path / "palette.png")
    with pytest.raises(InputRefused, match="palette"):
        read_reference(tmp_path / "palette.png", HEADS)
