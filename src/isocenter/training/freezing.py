"""What of a network learns, how fast, and what it begins with from another run.

Weights are named as ``network.named_parameters()`` names them and chosen by patterns such as
``"encoder.*"``, in which ``*`` stands for any letters, dots too.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from isocenter.core.checks import check_least
from isocenter.core.errors import ModelRefused, SettingRefused
from isocenter.training.checkpoint import load_state

_MOST_NAMES = 5  # in a sentence


@dataclass(frozen=True, kw_only=True)
class RateGroup:
    """Weights with a learning rate of their own.

    Attributes:
        patterns: of the names of the weights.
        rate_factor: their learning rate over that of the run.
        weight_decay: theirs; None for that of the run.
    """

    patterns: tuple[str, ...]
    rate_factor: float = 1.0
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        check_least("rate_factor", self.rate_factor, 0)
        if self.weight_decay is not None:
            check_least("weight_decay", self.weight_decay, 0)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What a network took over from the weights of another run, as names of its weights.

    Attributes:
        taken: name and shape fitted.
        misshapen: the name is there, with another shape; these begin as the network was made.
        missing: the other run has none of that name; these too begin as the network was made.
        left: of the other run, and not in this network.
    """

    taken: tuple[str, ...]
    misshapen: tuple[str, ...]
    missing: tuple[str, ...]
    left: tuple[str, ...]

    def in_words(self) -> str:
        """One sentence on what was taken, and why the rest was not."""
        num = len(self.taken) + len(self.misshapen) + len(self.missing)
        parts = [f"{len(self.taken)} of {num} weights are taken over"]
        for names, why in (
            (self.misshapen, "have another shape there"),
            (self.missing, "are not there"),
            (self.left, "of the other run have no place here"),
        ):
            if names:
                parts.append(f"{len(names)} {why} ({_listed(names)})")
        return "; ".join(parts)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether the name of a weight fits one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def freeze(network: nn.Module, patterns: Sequence[str]) -> tuple[str, ...]:
    """Keep weights as they are: they get no gradient, no decay and no place in an optimizer.

    The average of the network's weights holds them as they are too. Call it before the network is
    given to a :class:`isocenter.training.loop.Trainer`.

    Returns:
        The names of the weights that are frozen.

    Raises:
        SettingRefused: a pattern fits no weight, or nothing is left to learn.
    """
    parameters = dict(network.named_parameters())
    _check_used(patterns, list(parameters))
    frozen = tuple(name for name in parameters if matches(name, patterns))
    for name in frozen:
        parameters[name].requires_grad_(False)
    if parameters and not any(one.requires_grad for one in parameters.values()):
        raise SettingRefused(
            f"all {len(parameters)} weights of the network are frozen; leave some to learn"
        )
    return frozen


def frozen_parts(network: nn.Module) -> list[nn.Module]:
    """Parts whose own weights are all frozen: they stay as at use while the rest is in training.

    A batch normalization would otherwise go on to change its running mean.
    """
    return [
        part
        for part in network.modules()
        if (own := list(part.parameters(recurse=False)))
        and not any(one.requires_grad for one in own)
    ]


@contextmanager
def held(network: nn.Module) -> Iterator[None]:
    """Give the weights of a network no gradient inside, and those that had one again after."""
    moving = [one for one in network.parameters() if one.requires_grad]
    for one in moving:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in moving:
            one.requires_grad_(True)


def optimized_groups(
    network: nn.Module, groups: Sequence[RateGroup], *, weight_decay: float
) -> list[dict[str, Any]]:
    """The weights that learn, as an optimizer takes them; each group with its ``rate_factor``.

    A weight belongs to the first group that names it, and where none does to a last one that goes
    at the rate of the run.

    Raises:
        SettingRefused: a pattern fits no weight, or no weight learns.
    """
    learning = {name: one for name, one in network.named_parameters() if one.requires_grad}
    if not learning:
        raise SettingRefused("the network has no weight that learns; leave some unfrozen")
    for group in groups:
        _check_used(group.patterns, [name for name, _ in network.named_parameters()])
    rest = RateGroup(patterns=("*",))
    chosen: list[list[nn.Parameter]] = [[] for _ in (*groups, rest)]
    for name, one in learning.items():
        place = next(k for k, group in enumerate((*groups, rest)) if matches(name, group.patterns))
        chosen[place].append(one)
    return [
        {
            "params": members,
            "rate_factor": group.rate_factor,
            "weight_decay": weight_decay if group.weight_decay is None else group.weight_decay,
        }
        for group, members in zip((*groups, rest), chosen, strict=True)
        if members
    ]


def transfer(network: nn.Module, weights: Mapping[str, Tensor]) -> Transfer:
    """Begin with the weights of another run where name and shape fit.

    Args:
        network: gets them.
        weights: by name, as :func:`weights_of` reads them.

    Raises:
        ModelRefused: nothing fits.
    """
    own = network.state_dict()
    shared = [name for name in own if name in weights]
    taken = [name for name in shared if own[name].shape == weights[name].shape]
    done = Transfer(
        taken=tuple(taken),
        misshapen=tuple(name for name in shared if name not in set(taken)),
        missing=tuple(name for name in own if name not in weights),
        left=tuple(name for name in weights if name not in own),
    )
    if not taken:
        raise ModelRefused(
            f"a checkpoint of another architecture: of {len(own)} weights of this network "
            f"({_listed(tuple(own))}) none has the name and shape of one of its {len(weights)} "
            f"({_listed(tuple(weights))}); name the weights of a run of the same kind of network"
        )
    network.load_state_dict({name: weights[name] for name in taken}, strict=False)
    return done


def weights_of(path: Path) -> dict[str, Tensor]:
    """Weights that a run kept: its ``NAME.pt``, or a ``.safetensors`` file of a model folder.

    Raises:
        ModelRefused: the file is not there, or holds no weights by name.
    """
    if not path.is_file():
        raise ModelRefused(
            "there is no such file of weights; name the NAME.pt of a training run or a "
            ".safetensors file",
            reason="no_such_model",
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = load_state(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelRefused("the file cannot be read as weights; it may be cut short") from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ModelRefused("the file cannot be read as weights; it may be cut short") from error
    if not (isinstance(found, dict) and all(isinstance(one, Tensor) for one in found.values())):
        raise ModelRefused(
            "the file holds more than weights by name, as last.pt does; name the NAME.pt of the "
            "learner, which holds the best averaged weights"
        )
    return found


def _check_used(patterns: Sequence[str], names: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SettingRefused(
                f"no weight of the network is named as {pattern!r}; there are {len(names)}, "
                f"such as {_listed(tuple(names))}"
            )


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"
