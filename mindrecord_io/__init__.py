"""The data set on disk, both ends: values, names, shards, versions, reading."""
