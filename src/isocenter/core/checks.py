"""Refuse settings that make no sense, in words: what is accepted and what arrived."""

from __future__ import annotations

import math


def check_least(name: str, value: float, least: float) -> None:
    """See that a number is no smaller.

    Raises:
        ValueError: it is, or is no finite number.
    """
    if not (math.isfinite(value) and value >= least):
        raise ValueError(f"{name} is at least {least:g}, got {value:g}")


def check_positive(name: str, value: float) -> None:
    """See that a number is above zero.

    Raises:
        ValueError: it is not, or is no finite number.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive, got {value:g}")


def check_share(name: str, value: float) -> None:
    """See that a number is a probability.

    Raises:
        ValueError: it is not.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a share from 0 to 1, got {value:g}")


def check_range(
    name: str, ends: tuple[float, float], *, most: float = math.inf, may_be_one: bool = False
) -> None:
    """See that a range rises.

    Args:
        name: of the setting.
        ends: lowest and highest value.
        most: the range reaches up to it.
        may_be_one: whether both ends may be one value.

    Raises:
        ValueError: it does not rise, holds zero or less, or goes beyond.
    """
    low, high = ends
    rises = low <= high if may_be_one else low < high
    if not (low > 0 and rises and high <= most and math.isfinite(high)):
        upto = "" if math.isinf(most) else f" and up to {most:g}"
        raise ValueError(f"{name} is a rising range above 0{upto}, got {low:g}, {high:g}")


def check_sizes(name: str, sizes: tuple[int, ...], *, least: int = 1) -> None:
    """See that there are sizes, each large enough.

    Raises:
        ValueError: there are none, or one is smaller.
    """
    if not sizes or min(sizes) < least:
        raise ValueError(f"{name} are one or more whole numbers of at least {least}, got {sizes}")
