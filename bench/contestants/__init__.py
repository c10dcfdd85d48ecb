"""One script for each contestant: ``python -m bench.contestants.X URL FOLDER full|cursor DATABASE``."""
