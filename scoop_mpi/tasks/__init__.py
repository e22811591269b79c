"""Tasks: calls, how they are claimed, and what comes of them."""
