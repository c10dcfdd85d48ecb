"""Who runs what, when: leases, limits, placement."""
