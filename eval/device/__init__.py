"""Networks that leave: their forms, what is written with them, and where they run."""
