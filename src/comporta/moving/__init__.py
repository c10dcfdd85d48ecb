"""Moving everything from one database to another, in either direction between SQLite and PostgreSQL."""
