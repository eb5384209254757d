from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from isocenter.core.errors import ModelRefused, SettingRefused
from isocenter.training.checkpoint import save_state
from isocenter.training.freezing import (
    RateGroup,
    freeze,
    frozen_parts,
    held,
    optimized_groups,
    transfer,
    weights_of,
)


class Net(nn.Module):
    def __init__(self, *, width: int = 4, channels: int = 1) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width))
        self.head = nn.Conv2d(width, 1, 1)

    def weight(self, name: str) -> torch.Tensor:
        return self.state_dict()[name].clone()


def names_of(groups: list[dict], network: nn.Module) -> list[list[str]]:
    names = {id(one): name for name, one in network.named_parameters()}
    return [[names[id(one)] for one in group["params"]] for group in groups]


def test_frozen_weights_are_left_out_of_the_optimizer() -> None:
    network = Net()
    frozen = freeze(network, ["encoder.*"])
    assert frozen == ("encoder.0.weight", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias")
    groups = optimized_groups(network, (), weight_decay=0.1)
    assert names_of(groups, network) == [["head.weight", "head.bias"]]
    assert (groups[0]["rate_factor"], groups[0]["weight_decay"]) == (1.0, 0.1)


def test_a_frozen_normalization_keeps_its_running_mean() -> None:
    network = Net()
    assert frozen_parts(network) == []
    freeze(network, ["encoder.*"])
    parts = frozen_parts(network)
    assert parts == [network.encoder[0], network.encoder[1]]
    network.train()
    for part in parts:
        part.eval()
    network.encoder(torch.randn(2, 1, 5, 5))
    assert torch.equal(network.weight("encoder.1.running_mean"), torch.zeros(4))


def test_a_weight_belongs_to_the_first_group_that_names_it() -> None:
    network = Net()
    groups = optimized_groups(
        network,
        [
            RateGroup(patterns=("*.bias",), weight_decay=0.0),
            RateGroup(patterns=("encoder.*",), rate_factor=0.1),
        ],
        weight_decay=0.3,
    )
    assert names_of(groups, network) == [
        ["encoder.0.bias", "encoder.1.bias", "head.bias"],
        ["encoder.0.weight", "encoder.1.weight"],
        ["head.weight"],
    ]
    assert [group["rate_factor"] for group in groups] == [1, 0.1, 1]
    assert [group["weight_decay"] for group in groups] == [0, 0.3, 0.3]


def test_held_weights_learn_again_after_and_frozen_ones_do_not() -> None:
    network = Net()
    freeze(network, ["head.*"])
    with held(network):
        assert not any(one.requires_grad for one in network.parameters())
    learning = [name for name, one in network.named_parameters() if one.requires_grad]
    assert all(name.startswith("encoder") for name in learning)
    assert len(learning) == 4


@pytest.mark.parametrize(
    ("patterns", "said"),
    [(["decoder.*"], r"named as 'decoder.\*'; there are 6"), (["*"], "all 6 weights")],
)
def test_freezing_nothing_or_everything_is_refused(patterns: list[str], said: str) -> None:
    with pytest.raises(SettingRefused, match=said):
        freeze(Net(), patterns)


def test_a_group_of_no_weight_is_refused() -> None:
    with pytest.raises(SettingRefused, match="no weight of the network"):
        optimized_groups(Net(), [RateGroup(patterns=("tail.*",))], weight_decay=0)
    with pytest.raises(ValueError, match="rate_factor is at least 0"):
        RateGroup(patterns=("*",), rate_factor=-1)
    with pytest.raises(SettingRefused, match="no weight that learns"):
        optimized_groups(Net().requires_grad_(False), (), weight_decay=0)


def test_what_fits_is_taken_over_and_the_rest_is_said() -> None:
    before = Net(channels=3)
    weights = dict(before.state_dict()) | {"tail.weight": torch.zeros(2)}
    del weights["head.bias"]
    network = Net()
    made = network.weight("head.bias")
    done = transfer(network, weights)
    for name in ("head.weight", "encoder.0.bias"):
        assert torch.equal(network.weight(name), before.weight(name))
    assert torch.equal(network.weight("head.bias"), made)
    assert done.misshapen == ("encoder.0.weight",)
    assert done.missing == ("head.bias",)
    assert done.left == ("tail.weight",)
    assert done.in_words() == (
        "7 of 9 weights are taken over; 1 have another shape there (encoder.0.weight); 1 are not "
        "there (head.bias); 1 of the other run have no place here (tail.weight)"
    )
    assert transfer(network, before.state_dict()).left == ()


def test_weights_of_another_architecture_are_refused() -> None:
    with pytest.raises(ModelRefused, match="a checkpoint of another architecture: of 9 weights"):
        transfer(Net(), nn.Linear(2, 2).state_dict())


def test_weights_come_from_a_run_or_from_a_model_folder(tmp_path: Path) -> None:
    weights = Net().state_dict()
    save_state(tmp_path / "net.pt", weights)
    save_file(dict(weights), tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        read = weights_of(tmp_path / name)
        assert read.keys() == weights.keys()
        assert all(torch.equal(read[key], weights[key]) for key in weights)


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no such file of weights"):
        weights_of(tmp_path / "net.pt")
    save_state(tmp_path / "last.pt", {"step": 3})
    with pytest.raises(ModelRefused, match="holds more than weights"):
        weights_of(tmp_path / "last.pt")
    save_state(tmp_path / "net.pt", Net().state_dict())
    whole = (tmp_path / "net.pt").read_bytes()
    for name, content in (("cut.pt", whole[:700]), ("cut.safetensors", b"x" * 30), ("no.pt", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelRefused, match="cannot be read as weights"):
            weights_of(tmp_path / name)
