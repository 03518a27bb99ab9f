"""A version as one page for people."""
