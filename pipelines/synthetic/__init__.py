"""Draws clips that stand in for the licensed Something-Something-v2."""
