"""How fast, how large, how dear: see README.md here. Nothing of this is imported by the services."""
