"""Networks: frame networks with the temporal shift, their weights and checkpoints."""
