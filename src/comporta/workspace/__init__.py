"""An open database with its accounts: what runs on it, where it stands, and what the API may ask of it."""
