"""Scripts as a user's: each is run in an interpreter of its own, and prints what it measured as JSON."""
