"""The commands: a file each, with its flags and the order of what it calls."""
