"""Serves a version of a data set as pages that people look through."""
