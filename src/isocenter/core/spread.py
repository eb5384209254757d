"""A few places spread over many."""

from __future__ import annotations


def spread_evenly(count: int, wanted: int, *, with_ends: bool = False) -> tuple[int, ...]:
    """At most ``wanted`` rising indices below ``count``, evenly spread; all where there are fewer.

    Args:
        count: how many there are.
        wanted: how many to choose.
        with_ends: choose the first and the last too; else each stands for an equal stretch and lies
            in its middle.
    """
    if count <= wanted:
        return tuple(range(count))
    if not with_ends:
        return tuple(int((index + 0.5) * count / wanted) for index in range(wanted))
    if wanted == 1:
        return (0,)
    return tuple(round(index * (count - 1) / (wanted - 1)) for index in range(wanted))
