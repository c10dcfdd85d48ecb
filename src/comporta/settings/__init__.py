"""What is set: read from the environment and comporta.toml, and kept in the database; frozen once read."""
