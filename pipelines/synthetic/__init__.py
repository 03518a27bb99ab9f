"""Drawn clips that stand in for the licensed ones."""
