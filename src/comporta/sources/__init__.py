"""The APIs that records come from, one adapter each, over one shared HTTP transport."""
