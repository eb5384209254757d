"""Everything Isocenter raises on purpose.

::

    IsocenterError
    ├── InputRefused (ValueError)      the user's input cannot be worked on
    │   ├── UnreadableInput            not DICOM, damaged, truncated or not decodable
    │   ├── UnsuitableScan             readable, but not what the task accepts
    │   └── SeriesChoiceNeeded         several series fit; one must be named
    ├── ModelRefused (ValueError)      a model folder is incomplete, altered or of another kind
    └── OutputRefused (ValueError)     the place to write to is taken or not writable

A message says what arrived, what is accepted and what to do next. It never holds a patient's name,
an identifier or a file name taken from a header.
"""

from __future__ import annotations


class IsocenterError(Exception):
    """Base of all deliberate refusals."""


class InputRefused(IsocenterError, ValueError):
    """The user's input cannot be worked on."""


class UnreadableInput(InputRefused):
    """Not DICOM, damaged, truncated or not decodable."""


class UnsuitableScan(InputRefused):
    """Readable, but not what the task accepts.

    Attributes:
        reason: a short stable name of the rule, such as "pixel_spacing".
        can_be_forced: whether ``force`` may go on in spite of it.
    """

    def __init__(self, message: str, *, reason: str, can_be_forced: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.can_be_forced = can_be_forced


class SeriesChoiceNeeded(InputRefused):
    """Several series fit; the message lists them and how to name one."""


class ModelRefused(IsocenterError, ValueError):
    """A model folder is incomplete, altered or of another kind."""


class OutputRefused(IsocenterError, ValueError):
    """The place to write to is taken or not writable."""
