"""Reads splits as batches for training: clips, frames, pixels."""
