"""Freezes all but the classifier."""

from mindspore import nn

from model.tsm import TSM

__all__ = ["train_classifier_only"]


def train_classifier_only(network: TSM) -> None:
    """Freezes everything before the classifier, batch norm's statistics included."""
    for _, cell in network.base_model.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.use_batch_statistics = False
    for parameter in network.base_model.get_parameters():
        parameter.requires_grad = False
