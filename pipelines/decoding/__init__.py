"""One clip in, its frames as JPEGs out, or the reason why not."""
