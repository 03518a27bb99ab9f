"""What is there to be read: annotations of every kind, clips, their files."""
