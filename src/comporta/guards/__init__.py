"""Locks of other programs, where they keep them."""
