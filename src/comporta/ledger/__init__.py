"""Comporta's own tables: runs, coverage, leases, resume points."""
