"""Pure networks: the temporal shift module, its backbones, and their checkpoints."""
