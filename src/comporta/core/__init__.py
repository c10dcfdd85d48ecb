"""Decisions, made from their arguments alone: no clock, no chance, no I/O, no async, no logging."""
