"""What answers over HTTP: the way in for notifications, and whether the server is well."""
