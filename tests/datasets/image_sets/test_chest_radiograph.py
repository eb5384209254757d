from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.datasets.image_sets.conftest import write_table

from isocenter.core.errors import UnreadableInput
from isocenter.datasets.image_sets.chest_radiograph import (
    ADULTS,
    read_adults,
    read_chest_radiographs,
)
from isocenter.datasets.image_sets.image_set import check_patients_apart


def test_children_and_adults_come_in_one_size_and_scale(chest_data: Path) -> None:
    found = read_chest_radiographs(chest_data)
    assert found.stored.shape == (5, 224, 224)
    assert [tuple(one.categories.values()) for one in found.labels] == [
        ("normal", "child"),
        ("bacterial pneumonia", "child"),
        ("viral pneumonia", "child"),
        ("normal", "adult"),
        ("pneumonia", "adult"),
    ]
    assert [int(image.max()) for image in found.stored] == [20, 21, 22, 90, 120]


def test_children_alone_are_read_too(chest_data: Path) -> None:
    (chest_data / ADULTS).unlink()
    assert len(read_chest_radiographs(chest_data)) == 3


def test_an_unknown_label_is_refused(chest_data: Path) -> None:
    write_table(
        chest_data / "cxr" / "pediatric_224.csv",
        [{"file": "0.jpeg", "patient": "p", "label": "covid"}],
    )
    with pytest.raises(UnreadableInput, match="1 labels that are none of normal"):
        read_chest_radiographs(chest_data)


def test_damaged_adults_are_refused(chest_data: Path) -> None:
    np.savez(chest_data / ADULTS, img=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(UnreadableInput, match="missing or damaged"):
        read_chest_radiographs(chest_data)


@pytest.mark.real_data
def test_real_adults_are_split_by_patient(data_folder: Path) -> None:
    found = read_adults(data_folder)
    assert len(found) == 250
    check_patients_apart(found.labels)
    assert found.counts()["train"][1] > 130
