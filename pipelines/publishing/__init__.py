"""Publishes and removes versions, on this machine or in an object store."""
