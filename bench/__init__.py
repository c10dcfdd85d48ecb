"""Measures Comporta against what a user would pick instead; see docs/explanation/performance.md."""
