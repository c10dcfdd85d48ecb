"""The commands: parse, call bootstrap, print."""
