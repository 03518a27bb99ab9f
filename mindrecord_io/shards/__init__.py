"""One shard: its bytes, its rows, its folder, which clips are in it."""
