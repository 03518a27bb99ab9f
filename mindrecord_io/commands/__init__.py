"""What every command shares: flags, log, terminal, last line, exit status."""
