"""Which clip goes into which shard, and what is known of it already."""
