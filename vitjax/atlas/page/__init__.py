"""The page of an atlas: static files that need no server."""
