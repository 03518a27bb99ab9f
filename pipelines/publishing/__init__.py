"""A data set as jobs write it: on this machine, or in an object store."""
