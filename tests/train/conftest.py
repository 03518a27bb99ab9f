"""Fixtures of the tests of training."""

import pytest


@pytest.fixture(scope="module")
def small_graphs():
    """MindSpore compiles networks, which are half as deep as they say."""
    from eval import config
    from tests.train import moving_bars

    config.use_graph_mode()
    with moving_bars.fewer_blocks():
        yield
