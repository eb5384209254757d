"""Slices whose stored integers mean other values than those of their neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from isocenter.dicom.reading.frames import Frame

MOST_NAMED = 8
_FEW = 0.5


def rescale_notes(frames: Sequence[Frame]) -> list[str]:
    """What is to be known of rescales in a series, in words; nothing where all have the same.

    Each slice is read, and written, by its own slope and intercept; a scanner may mean that, or
    somebody may have lost one on the way, which only a look at the slice can tell.
    """
    scales = [(frame.slope or 1.0, frame.intercept or 0.0) for frame in frames]
    counted = Counter(scales)
    if len(counted) < 2:
        return []
    (slope, intercept), number = counted.most_common(1)[0]
    if number < _FEW * len(scales):
        return [f"Rescale slope or intercept differ from slice to slice ({len(counted)} of them)."]
    others = [place for place, scale in enumerate(scales) if scale != (slope, intercept)]
    are = "Slice {} has" if len(others) == 1 else "Slices {} have"
    shown = ", ".join(str(place + 1) for place in others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    own = sorted({scales[place] for place in others})
    words = " or ".join(f"slope {one:g}, intercept {other:g}" for one, other in own[:2])
    words += " or others" if len(own) > 2 else ""
    return [
        f"{are.format(shown + more)} another rescale ({words}) than the other "
        f"{number} of {len(scales)} (slope {slope:g}, intercept {intercept:g}); each was read by "
        "its own. Look whether the values there are right."
    ]
