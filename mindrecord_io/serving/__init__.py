"""Batches for training: which clips, which frames, which pixels."""
