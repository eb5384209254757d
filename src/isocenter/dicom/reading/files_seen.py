"""How many files lay where a scan was looked for, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FilesSeen:
    """Every file below an input, counted once.

    Attributes:
        used: hold slices of the scan that was opened.
        other: are something else: no DICOM, of another series, a copy, or outside the run of
            slices that was taken.
        damaged: were images, by their name or their beginning, and cannot be read as such.
        unreadable: cannot be opened, and may be images by their name; a folder that cannot be
            opened counts as one.
    """

    used: int = 0
    other: int = 0
    damaged: int = 0
    unreadable: int = 0

    def in_words(self) -> str:
        """One sentence for the report and the terminal."""
        total = self.used + self.other + self.damaged + self.unreadable
        seen = "1 file was seen" if total == 1 else f"{total} files were seen"
        return (
            f"{seen}: {self.used} used, {self.other} other, {self.damaged} damaged, "
            f"{self.unreadable} unreadable."
        )
