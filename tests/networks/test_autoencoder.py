import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isocenter.networks.autoencoder import (
    Autoencoder,
    LatentDistribution,
    block_waves,
    folded,
    unfolded,
)


@pytest.mark.parametrize("shape", [(2, 1, 4, 6), (1, 3, 2, 4, 6)])
def test_unfolding_undoes_folding(shape: tuple[int, ...]) -> None:
    image = torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)
    narrow = folded(image)
    assert narrow.shape == (
        shape[0],
        shape[1] * 2 ** (len(shape) - 2),
        *(extent // 2 for extent in shape[2:]),
    )
    assert torch.equal(unfolded(narrow), image)


def test_folding_in_the_plane_is_pixel_unshuffle() -> None:
    image = torch.randn(2, 3, 4, 6)
    assert torch.equal(folded(image), torch.nn.functional.pixel_unshuffle(image, 2))


@pytest.mark.parametrize(
    ("spatial_dims", "channels", "factor"), [(2, (8, 8), 4), (2, (8, 8, 8), 8), (3, (8, 8), 4)]
)
def test_latents_are_smaller_by_the_factor(
    spatial_dims: int, channels: tuple[int, ...], factor: int
) -> None:
    network = Autoencoder(
        spatial_dims=spatial_dims, channels=channels, latent_channels=3, norm_groups=4
    )
    extents = (16,) * spatial_dims
    image = torch.zeros(1, 1, *extents)
    found = network.encode(image)
    assert network.factor == factor
    assert found.mean.shape == (1, *network.latent_shape(extents))
    assert found.mean.shape[2:] == tuple(extent // factor for extent in extents)
    assert network.decode(found.mean).shape == image.shape


def test_no_noise_draws_the_mean() -> None:
    network = Autoencoder(channels=(8, 8), latent_channels=2, norm_groups=4)
    image = torch.randn(1, 1, 8, 8)
    again, found = network(image, torch.zeros(1, 2, 2, 2))
    assert torch.equal(again, network.decode(found.mean))


def test_divergence_is_that_of_torch() -> None:
    found = LatentDistribution(torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4) + 0.1)
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(
        normal(found.mean, found.deviation), normal(torch.tensor(0.0), torch.tensor(1.0))
    )
    torch.testing.assert_close(found.divergence(), wanted)


def test_decoder_parameters_leave_the_latents_alone() -> None:
    network = Autoencoder(channels=(8, 8), latent_channels=2, norm_groups=4)
    image = torch.randn(1, 1, 8, 8)
    before, decoded = network.encode(image), network.decode(torch.ones(1, 2, 2, 2))
    with torch.no_grad():
        for parameter in network.decoder_parameters():
            parameter.add_(0.1)
    after = network.encode(image)
    assert torch.equal(before.mean, after.mean)
    assert torch.equal(before.deviation, after.deviation)
    assert not torch.equal(decoded, network.decode(torch.ones(1, 2, 2, 2)))


def test_an_image_that_the_factor_does_not_divide_is_refused() -> None:
    network = Autoencoder(channels=(8, 8), latent_channels=2, norm_groups=4)
    with pytest.raises(ValueError, match="multiple of 4"):
        network.encode(torch.zeros(1, 1, 10, 8))


@given(
    st.sampled_from(
        [
            {"spatial_dims": 4},
            {"channels": ()},
            {"channels": (8,) * 9},
            {"channels": (8, 10)},
            {"channels": (2048,)},
            {"blocks": 0},
            {"blocks": True},
            {"latent_channels": "8"},
            {"image_channels": -1},
            {"norm_groups": 0},
        ]
    )
)
def test_sizes_that_make_no_network_are_refused(wrong: dict) -> None:
    right = {"channels": (8, 8), "latent_channels": 2, "norm_groups": 4}
    with pytest.raises(ValueError, match=r"got|must|levels"):
        Autoencoder(**{**right, **wrong})


def test_its_configuration_builds_it_again() -> None:
    network = Autoencoder(channels=(8, 16), latent_channels=2, norm_groups=4)
    again = Autoencoder(**network.config)
    assert again.config == network.config
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize(("factor", "spatial_dims"), [(4, 2), (8, 2), (4, 3)])
def test_block_waves_are_orthonormal_and_the_mean_comes_first(
    factor: int, spatial_dims: int
) -> None:
    waves, deviations = block_waves(6, factor=factor, spatial_dims=spatial_dims)
    flat = waves.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(6), atol=1e-6, rtol=0)
    torch.testing.assert_close(flat[0], torch.full_like(flat[0], flat.shape[1] ** -0.5))
    assert (deviations.diff() <= 1e-6).all()


def test_the_direct_way_begins_as_a_cosine_transform() -> None:
    whole = Autoencoder(channels=(8, 8), latent_channels=16, norm_groups=4)
    image = torch.randn(2, 1, 16, 16)
    # All sixteen coefficients of a block of four by four are kept, so nothing is lost.
    again = whole.direct_out(whole.direct_in(image))
    torch.testing.assert_close(again, image, atol=1e-4, rtol=0)
    fewer = Autoencoder(channels=(8, 8), latent_channels=1, norm_groups=4)
    blocks = torch.nn.functional.avg_pool2d(image, 4)
    wanted = torch.nn.functional.interpolate(blocks, scale_factor=4)
    torch.testing.assert_close(fewer.direct_out(fewer.direct_in(image)), wanted, atol=1e-4, rtol=0)


def test_a_new_network_adds_little_to_the_direct_way_but_not_nothing() -> None:
    torch.manual_seed(0)
    network = Autoencoder(channels=(16, 16), latent_channels=4, norm_groups=8)
    image = torch.rand(2, 1, 32, 32) * 2 - 1
    latent = network.encode(image).mean
    added = network.decode(latent) - network.direct_out(latent)
    assert 0 < float(added.detach().std()) < 0.2
    network.decode(latent).square().mean().backward()
    first = network.network.decoder.blocks[0].conv.weight
    assert first.grad is not None
    assert float(first.grad.abs().sum()) > 0
