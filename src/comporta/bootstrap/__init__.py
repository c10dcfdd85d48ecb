"""The composition root: names concrete adapters and plugs them into ports."""
