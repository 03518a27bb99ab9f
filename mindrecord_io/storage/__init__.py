"""Files that a crash leaves whole, object stores, the cache, rows on disk."""
