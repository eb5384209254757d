"""The sheet of all images: its grid, its captions, its end."""

from __future__ import annotations

import numpy as np

from isocenter.tasks.generate.contact_sheet import MOST_TILES, ContactSheet, Tile, sheet, windowed

GRAY = np.full((32, 24), 120, np.uint8)


def test_a_sheet_ends_and_says_so() -> None:
    collected = ContactSheet(heading="All.", total=MOST_TILES + 5)
    for number in range(1, MOST_TILES + 6):
        collected.add(number, Tile(picture=GRAY, caption=str(number)))
    width, height = collected.drawn().size
    assert width == 8 * 200 + 8
    assert height < 5000
    assert len(collected._tiles) == MOST_TILES


def test_a_long_caption_stays_below_its_picture() -> None:
    short = sheet("a", [Tile(picture=GRAY, caption="b")])
    long = sheet("a " * 500, [Tile(picture=GRAY, caption="word " * 200)])
    assert short.size == long.size
    assert np.asarray(long)[:, -4:].max() == 16  # nothing is written up to the edge


def test_a_box_is_framed_where_it_lies() -> None:
    plain = np.asarray(sheet("a", [Tile(picture=GRAY, caption="")]), int)
    boxed = np.asarray(sheet("a", [Tile(picture=GRAY, caption="", box=(0.5, 0.5, 0.5, 0.25))]), int)
    rows, columns = np.nonzero(np.abs(boxed - plain).sum(axis=2))
    assert abs(rows.max() - rows.min() - 192 / 4) <= 1
    assert abs(columns.max() - columns.min() - 144 / 2) <= 1


def test_a_window_ends_in_black_and_white() -> None:
    values = np.array([[-2000.0, -1350.0, -600.0, 150.0, 3000.0]])
    assert windowed(values, (-600.0, 1500.0)).tolist() == [[0, 0, 128, 255, 255]]
