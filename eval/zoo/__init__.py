"""The command lines of the model zoo's TSM, run by this program."""
