"""One run, end to end, through ports only."""
