"""Our docstrings, as the reference shows them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|data):`~?(?P<name>[\w.]+)`")
_SOURCE = re.compile(r"^(Sources?): ", re.M)
_SEVERAL = re.compile(r"^ +\w+(?:, \w+)+: ", re.M)
_NO_BREAK = "\N{NO-BREAK SPACE}"


class OurDocstrings(griffe.Extension):
    """Turns roles into links, keeps "a, b: ..." together and "Source:" on a line of its own."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring before it is read."""
        if obj.docstring:
            text = _SOURCE.sub(r"**\1:** ", obj.docstring.value)
            text = _SEVERAL.sub(lambda names: names[0].replace(", ", f",{_NO_BREAK}"), text)
            obj.docstring.value = _ROLE.sub(lambda role: _link(role["name"], obj), text)


def _link(name: str, obj: griffe.Object) -> str:
    """A link where the reference has the object, else its name alone."""
    try:
        path = name if name.startswith("isocenter.") else obj.resolve(name)
    except griffe.NameResolutionError:
        path = f"{obj.path}.{name}"  # a method, named in the docstring of its class
    shown = name.rpartition(".")[2]
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'
