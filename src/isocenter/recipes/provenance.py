"""Which code made a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

from isocenter.core import version
from isocenter.core.version import __version__


def code_commit() -> str:
    """The commit of the code that runs, marked where files were changed since.

    Where the package does not run from a checkout, its version.
    """
    root = Path(version.__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return f"version {__version__}"
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "src")
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"
    return f"{commit} with changes" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
