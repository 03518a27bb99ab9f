"""Non-local blocks against their definition, written out in numpy."""

import numpy as np
from mindspore import Tensor, nn

from model.non_local import NonLocal, WithNonLocal

N, T, C, H, W = 2, 3, 4, 4, 5


def make_block(gamma=1.0):
    block = NonLocal(C, T)
    rng = np.random.default_rng(0)
    for parameter in block.get_parameters():
        if parameter.name.endswith("weight") or parameter.name.endswith("bias"):
            values = rng.normal(size=parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(values))
    block.W[1].gamma.set_data(Tensor(np.full(C, gamma, np.float32)))
    block.set_train(False)
    return block


def clip_major(seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N * T, C, H, W)).astype(np.float32)


def convolved(x, conv):
    """A 1x1 convolution of (C, T, H, W)."""
    weight, bias = conv.weight.asnumpy()[:, :, 0, 0], conv.bias.asnumpy()
    return np.einsum("oc,cthw->othw", weight, x) + bias[:, None, None, None]


def halved(x):
    """The maximum of each 2 x 2 pixels; what is left of an odd size is dropped."""
    channels, segments, height, width = x.shape
    x = x[:, :, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(channels, segments, height // 2, 2, width // 2, 2)
    return x.max(axis=(3, 5))


def expected_of_clip(x, block):
    queries = convolved(x, block.theta).reshape(C // 2, -1)
    keys = halved(convolved(x, block.phi[0])).reshape(C // 2, -1)
    values = halved(convolved(x, block.g[0])).reshape(C // 2, -1)
    likeness = queries.T @ keys
    powers = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    means = values @ (powers / powers.sum(axis=1, keepdims=True)).T
    added = convolved(means.reshape(C // 2, T, H, W), block.W[0])
    return x + added / np.sqrt(1 + 1e-5)  # the norm's variance is one


def test_equals_its_definition():
    block, x = make_block(), clip_major()
    clips = x.reshape(N, T, C, H, W).transpose(0, 2, 1, 3, 4)
    expected = np.stack([expected_of_clip(clip, block) for clip in clips])
    expected = expected.transpose(0, 2, 1, 3, 4).reshape(x.shape)
    np.testing.assert_allclose(
        block(Tensor(x)).asnumpy(), expected, rtol=1e-4, atol=1e-5
    )


def test_a_new_block_changes_nothing():
    block, x = NonLocal(C, T), clip_major()
    np.testing.assert_array_equal(block(Tensor(x)).asnumpy(), x)
    assert not block.W[1].gamma.asnumpy().any()


def test_clips_do_not_see_each_other():
    block, x = make_block(), clip_major()
    other = clip_major(seed=2)
    other[:T] = x[:T]
    np.testing.assert_allclose(
        block(Tensor(x)).asnumpy()[:T],
        block(Tensor(other)).asnumpy()[:T],
        rtol=1e-5,
        atol=1e-5,
    )


def test_parameter_names_are_the_authors():
    wrapped = WithNonLocal(nn.Identity(), channels=C, num_segments=T)
    assert [p.name for p in wrapped.get_parameters()] == [
        "nl.g.0.weight",
        "nl.g.0.bias",
        "nl.theta.weight",
        "nl.theta.bias",
        "nl.phi.0.weight",
        "nl.phi.0.bias",
        "nl.W.0.weight",
        "nl.W.0.bias",
        "nl.W.1.moving_mean",
        "nl.W.1.moving_variance",
        "nl.W.1.gamma",
        "nl.W.1.beta",
    ]
