"""Makes an HTML page of a version."""
