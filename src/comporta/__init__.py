"""Comporta keeps the business data of many accounts in one SQL database you own."""

__version__ = "0.1.0"
