"""Measures a trained network on a split of a published version."""
