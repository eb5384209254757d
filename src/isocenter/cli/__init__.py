"""The ``isocenter`` command, one file a command.

Whatever is heavy is imported inside the command that needs it, so that ``isocenter --help`` answers
at once. Deliberate refusals end with exit code 2, surprises with 1, Ctrl-C with 130.
"""

from isocenter.cli.main import app, main

__all__ = ["app", "main"]
