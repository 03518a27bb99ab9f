"""The version of this program, which what it writes may name."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
"""As in setup.py; a clone that is not installed has it too."""
