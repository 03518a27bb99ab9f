"""Freezes parts of a network: batch norm, or the whole frame network."""

from mindspore import nn

from model import non_local

__all__ = ["freeze_frame_network", "freeze_norms_but_first"]


def freeze_norms_but_first(network: nn.Cell) -> list[str]:
    """Freezes the statistics, gamma and beta of every batch norm but the first.

    This is partial batch norm. Norms in non-local blocks stay trainable: their gamma
    begins at zero, and the blocks would never do anything.

    Returns:
      The names of the frozen cells.
    """
    spared = {
        id(cell)
        for _, block in network.cells_and_names()
        if isinstance(block, non_local.NonLocal)
        for _, cell in block.cells_and_names()
    }
    norms = [
        (name, cell)
        for name, cell in network.cells_and_names()
        if isinstance(cell, nn.BatchNorm2d) and id(cell) not in spared
    ]
    for _, norm in norms[1:]:
        norm.use_batch_statistics = False
        norm.gamma.requires_grad = False
        norm.beta.requires_grad = False
    return [name for name, _ in norms[1:]]


def freeze_frame_network(base_model: nn.Cell) -> None:
    """Freezes a frame network, batch norm's statistics included."""
    for _, cell in base_model.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.use_batch_statistics = False
    for parameter in base_model.get_parameters():
        parameter.requires_grad = False
