"""The user's tables: what they look like and how a batch gets into them."""
