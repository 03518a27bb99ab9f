"""Reads annotations in every layout, and finds and hashes the files of clips."""
