from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isocenter.core.errors import InputRefused
from isocenter.datasets.image_sets.families import (
    FAMILIES,
    load_set,
    read_families,
    save_set,
)
from isocenter.datasets.image_sets.image_set import ImageLabels, ImageSet


def test_a_family_is_read_once_and_then_kept(brain_data: Path, tmp_path: Path) -> None:
    told: list[str] = []
    cache = tmp_path / "cache"
    first, again = (
        read_families(brain_data, ["brain_t1c"], cache=cache, say=told.append)["brain_t1c"]
        for _ in range(2)
    )
    assert first.digest() == again.digest()
    assert told == [
        "brain_t1c: reading its sources",
        "brain_t1c: 4 images",
        "brain_t1c: reading what was kept",
    ]


def test_another_source_is_read_anew(brain_data: Path, tmp_path: Path) -> None:
    read_families(brain_data, ["brain_t1c"], cache=tmp_path / "cache")
    table = brain_data / "mri" / "t1c_tumors_256.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:3]) + "\n")
    found = read_families(brain_data, ["brain_t1c"], cache=tmp_path / "cache")
    assert len(found["brain_t1c"]) == 2


def test_an_unknown_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no family is called knee; there are brain_t1c"):
        read_families(tmp_path, ["knee"])
    assert FAMILIES == ("brain_t1c", "chest_radiograph", "chest_ct", "brain_labels")


@pytest.mark.parametrize("with_guides", [True, False])
def test_a_set_comes_back_from_its_file(tmp_path: Path, with_guides: bool) -> None:
    stored = np.arange(2 * 4 * 4, dtype=np.int16).reshape(2, 4, 4)
    labels = (
        ImageLabels(file="a", patient="p", box=(0.5, 0.5, 0.1, 0.1), numbers={"te_ms": 3.5}),
        ImageLabels(file="b", patient="q", part="test", categories={"class": "x"}, text="words"),
    )
    one = ImageSet(
        family="toy",
        stored=stored,
        low=-10,
        high=40,
        labels=labels,
        guides=(stored > 9).astype(np.uint8) if with_guides else None,
        guide_names=("high",) if with_guides else (),
    )
    save_set(one, tmp_path / "set.npz")
    back = load_set(tmp_path / "set.npz")
    assert back.digest() == one.digest()
    assert back.labels == one.labels
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]
