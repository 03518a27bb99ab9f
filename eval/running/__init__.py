"""What every program of eval and train starts with: configuration, ranks, progress."""
