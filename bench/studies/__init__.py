"""Studies: the built-in one, and how a user's is loaded."""
