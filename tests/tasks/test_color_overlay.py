"""Colors over an image: none where the map is 0, all by one scale, legend and statement below."""

from __future__ import annotations

import numpy as np
import pytest

from isocenter.core.outputs import HOUNSFIELD, Code, MapOutput
from isocenter.tasks.color_overlay import MOST_OPACITY, ColorOverlay, over_gray
from isocenter.tasks.report.colors import lab_of, palette

MAP = MapOutput(
    name="m",
    label="Map",
    modality="CT",
    unit=HOUNSFIELD,
    derivation=Code("X", "99ISOCENTER", "Something"),
    content_label="M",
    meaning="Something.",
    quantity=Code("Y", "99ISOCENTER", "Half-width of an interval"),
    window=(0.0, 40.0),
)


def overlay(columns: int = 128, statement: str = "AI M, research use.") -> ColorOverlay:
    return ColorOverlay(MAP, gray_window=(-160.0, 240.0), columns=columns, statement=statement)


def test_an_image_without_uncertainty_stays_gray() -> None:
    image = np.linspace(-200, 300, 64 * 128).reshape(64, 128)
    picture = overlay()(image, np.zeros(image.shape))[:64]
    gray = np.rint(np.clip((image + 160) / 400, 0, 1) * 255)
    np.testing.assert_array_equal(picture, np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize("value", [40.0, 55.0])
def test_the_end_of_the_window_and_beyond_have_its_last_color(value: float) -> None:
    image = np.full((8, 128), 40.0)  # the middle of the gray window
    picture = overlay()(image, np.full(image.shape, value))[:8]
    last = palette("overlay")[-1].astype(float)
    expected = np.rint(127.5 * (1 - MOST_OPACITY) + last * MOST_OPACITY)
    np.testing.assert_array_equal(np.unique(picture.reshape(-1, 3), axis=0), [expected])


def test_color_rises_with_the_map() -> None:
    shares = np.linspace(0, 1, 11)[None]
    seen = lab_of(over_gray(np.full(shares.shape, 128.0), shares))[0]
    away_from_gray = np.linalg.norm(seen - seen[0], axis=1)
    assert np.all(np.diff(away_from_gray) > 1)


@pytest.mark.parametrize("columns", [16, 64, 256, 512, 1024])
def test_nothing_is_drawn_over_the_image_at_any_width(columns: int) -> None:
    draw = overlay(columns, "AI M, research use. Not for primary diagnosis.")
    image = np.zeros((20, columns))
    picture = draw(image, image)
    assert picture.shape == (20 + len(draw.legend), columns, 3)
    assert picture.dtype == np.uint8
    gray = np.unique(picture[:20].reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(gray, [[102, 102, 102]])
    np.testing.assert_array_equal(picture[20:], draw.legend)


def test_the_legend_holds_the_colors_and_more_words_need_more_rows() -> None:
    short, long = overlay(), overlay(statement="AI M, research use. WARNING: " + "word " * 40)
    assert len(long.legend) > len(short.legend)
    last = over_gray(np.full((1, 1), 96.0), np.ones((1, 1)))[0, 0]
    assert (short.legend == last).all(axis=2).any()
    assert (short.legend.min(axis=2) > 200).any()  # the words


def test_all_slices_have_one_scale() -> None:
    draw = overlay()
    image = np.zeros((8, 128))
    quiet, loud = np.full(image.shape, 10.0), np.full(image.shape, 10.0)
    loud[0, 0] = 400
    np.testing.assert_array_equal(draw(image, quiet)[1:], draw(image, loud)[1:])
