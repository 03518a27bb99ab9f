"""Shards and versions made by Beam, workers and decoders."""
