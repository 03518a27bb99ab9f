"""Manifest and table of a version: written, opened, checked."""
