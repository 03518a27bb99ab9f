"""Decides which clip goes into which shard, and what of a version is reused."""
