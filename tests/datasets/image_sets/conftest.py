"""Small sets of images in the layouts of the real ones, made from seeds."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

Rows = Sequence[Mapping[str, object]]


def write_table(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def picture(seed: int, *, size: tuple[int, int] = (256, 256), mode: str = "L") -> Image.Image:
    """An even gray, so that JPEG keeps it, brighter for each seed."""
    return Image.new("L", size, 20 + seed % 200).convert(mode)


def pack(path: Path, pictures: Mapping[str, Image.Image]) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name, image in pictures.items():
            held = io.BytesIO()
            image.save(held, "JPEG")
            packed.writestr(name, held.getvalue())


@pytest.fixture
def brain_data(tmp_path: Path) -> Path:
    """Four brain tumor slices: of a test patient, trained on, trained on, astray."""
    (tmp_path / "mri").mkdir()
    box = {"box_center_x": 0.5, "box_center_y": 0.4, "box_width": 0.2, "box_height": 0.1}
    labels = {"0001": "meningioma", "1900": "glioma", "1700": "pituitary", "0059": "pituitary"}
    rows = [{"file": f"{n}.jpg", "label": label, **box} for n, label in labels.items()]
    write_table(tmp_path / "mri" / "t1c_tumors_256.csv", rows)
    pack(
        tmp_path / "mri" / "t1c_tumors_256.zip",
        {f"{number}.jpg": picture(k) for k, number in enumerate(labels)},
    )
    return tmp_path


@pytest.fixture
def chest_data(tmp_path: Path) -> Path:
    """Radiographs of three children and two adults."""
    folder = tmp_path / "cxr"
    folder.mkdir()
    kinds = ("normal", "bacterial_pneumonia", "viral_pneumonia")
    rows = [
        {"file": f"{k}.jpeg", "patient": f"p{k}", "label": kind, "original_size": "224x224"}
        for k, kind in enumerate(kinds)
    ]
    write_table(folder / "pediatric_224.csv", rows)
    modes = ("L", "RGB", "L")
    pack(
        folder / "pediatric_224.zip",
        {f"{k}.jpeg": picture(k, size=(224, 224), mode=mode) for k, mode in enumerate(modes)},
    )
    np.savez(
        folder / "cxr_nih_train_256.npz",
        img=np.stack([np.full((256, 256), 90, np.uint8), np.full((256, 256), 120, np.uint8)]),
        label=np.array([0, 1], np.uint8),
        patient=np.array(["1", "2"]),
        filename=np.array(["a.png", "b.png"]),
    )
    return tmp_path


def head_labels() -> NDArray:
    """A ball of brain in CSF, skull and skin, as places in ``HEAD_LABELS``."""
    z, y, x = np.indices((76, 86, 72)) - np.array([37.5, 42.5, 35.5]).reshape(3, 1, 1, 1)
    out = np.sqrt((z / 36) ** 2 + (y / 41) ** 2 + (x / 34) ** 2)
    labels = np.zeros(out.shape, np.uint8)
    for place, radius in ((7, 1.0), (6, 0.97), (5, 0.92), (4, 0.86), (2, 0.82), (1, 0.7), (3, 0.3)):
        labels[out < radius] = place
    return labels


HEAD_LABELS = [0, 2, 3, 4, 24, 515, 507, 511]


@pytest.fixture(scope="session")
def head_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads as label maps."""
    data = tmp_path_factory.mktemp("heads")
    folder = data / "mri" / "synthseg_label_maps"
    folder.mkdir(parents=True)
    (folder / "lut.json").write_text(json.dumps({"index_to_label": HEAD_LABELS}))
    for number in (1, 2):
        image = SimpleITK.GetImageFromArray(head_labels())
        SimpleITK.WriteImage(image, str(folder / f"training_seg_{number:02d}.nii.gz"))
    return data


@pytest.fixture
def own_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of one's own: ``write(rows, size=..., mode=...)``."""

    def write(rows: Rows, *, size: tuple[int, int] = (24, 16), mode: str = "L") -> Path:
        (tmp_path / "images").mkdir(exist_ok=True)
        for k, row in enumerate(rows):
            picture(k, size=size, mode=mode).save(tmp_path / "images" / str(row["file"]))
        write_table(tmp_path / "labels.csv", rows)
        return tmp_path

    return write
