"""What the product says about itself: logs with a closed list of events."""
