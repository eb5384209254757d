"""Everything Isocenter raises on purpose.

::

    IsocenterError
    ├── InputRefused (ValueError)      the user's input cannot be worked on
    │   ├── UnreadableInput            not DICOM, damaged, truncated or not decodable
    │   ├── UnsuitableScan             readable, but not what the task accepts
    │   ├── SeriesChoiceNeeded         several series fit; one must be named
    │   └── SettingRefused             a setting is unknown or outside its limits
    ├── ModelRefused (ValueError)      a model folder is incomplete, altered or of another kind
    └── OutputRefused (ValueError)     the place to write to is taken or not writable

A message says what arrived, what is accepted and what to do next. It never holds a patient's name,
an identifier or a file name taken from a header. Beside the message stands a reason for programs: a
short code out of :mod:`isocenter.core.reasons`, which stays when the words are changed.
"""

from __future__ import annotations


class IsocenterError(Exception):
    """Base of all deliberate refusals.

    Attributes:
        reason: a short stable code, such as "pixel_spacing"; that of the class where none is given.
    """

    reason = "refused"

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        if reason:
            self.reason = reason


class InputRefused(IsocenterError, ValueError):
    """The user's input cannot be worked on."""

    reason = "input"


class UnreadableInput(InputRefused):
    """Not DICOM, damaged, truncated or not decodable."""

    reason = "unreadable"


class UnsuitableScan(InputRefused):
    """Readable, but not what the task accepts.

    Attributes:
        reason: the rule that it breaks, such as "pixel_spacing".
        can_be_forced: whether ``force`` may go on in spite of it.
    """

    def __init__(self, message: str, *, reason: str, can_be_forced: bool = False) -> None:
        super().__init__(message, reason=reason)
        self.can_be_forced = can_be_forced


class SeriesChoiceNeeded(InputRefused):
    """Several series fit; the message lists them and how to name one."""

    reason = "series_choice"


class SettingRefused(InputRefused):
    """A setting is unknown, of another type or outside its limits."""

    reason = "setting"


class ModelRefused(IsocenterError, ValueError):
    """A model folder is incomplete, altered or of another kind."""

    reason = "model"


class OutputRefused(IsocenterError, ValueError):
    """The place to write to is taken or not writable."""

    reason = "output"
