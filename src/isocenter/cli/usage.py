"""What is said of a command line that is not understood, without a word of what was typed.

click quotes what it does not understand. That may be a path, and a path may hold a patient's name;
messages end up in logs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click


def without_what_was_typed(error: click.UsageError) -> click.UsageError:
    """The same error in words of our own."""
    return click.UsageError(_message(error), error.ctx)


def no_such_command(typed: str, known: Iterable[str], ctx: click.Context) -> click.UsageError:
    """What is said of a word that is no command: the nearest that is, or all."""
    names = list(known)
    near = difflib.get_close_matches(typed, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(names)}."
    return click.UsageError(f"There is no such command. {hint}", ctx)


def _message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        near = sorted(error.possibilities or ())
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return f"There is no such option.{hint}"
    if isinstance(error, click.MissingParameter):
        return error.format_message()
    if isinstance(error, click.BadParameter):
        kind = error.param.type if error.param is not None else None
        return f"Invalid value for {_name(error)}: it takes {_taken(kind)}."
    if isinstance(error, click.BadOptionUsage):
        wants = "needs a value" if "requires" in error.message else "takes no value"
        return f"Option {error.option_name.partition('=')[0]} {wants}."
    if "extra argument" in error.message:
        return "There are more arguments than this command takes."
    return "This is not how the command is used."


def _name(error: click.BadParameter) -> str:
    if error.param is None:
        return "an option"
    hint = error.param.get_error_hint(error.ctx) if error.ctx else error.param.name
    return str(hint)


def _taken(kind: click.ParamType | None) -> str:
    """What a parameter takes, in words."""
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(str(getattr(one, 'value', one)) for one in kind.choices)}"
    if isinstance(kind, click.types.IntParamType):
        return f"a whole number{_limits(kind)}"
    if isinstance(kind, click.types.FloatParamType):
        return f"a number{_limits(kind)}"
    if isinstance(kind, click.Tuple):
        return f"{kind.arity} values: {', '.join(_taken(each) for each in kind.types)}"
    if isinstance(kind, click.Path):
        return "a file or folder that is there"
    return "something else"


def _limits(kind: click.ParamType) -> str:
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""
