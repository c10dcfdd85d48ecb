"""Ways to people: how a letter about alerts leaves the machine."""
