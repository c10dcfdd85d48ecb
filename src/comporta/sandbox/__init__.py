"""Simulators of the sources: real servers with invented data and faults on demand."""
