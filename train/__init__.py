"""Trains a temporal shift network on a published version."""
