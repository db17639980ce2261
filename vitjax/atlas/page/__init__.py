"""Shows a finished atlas as a page of static files, which needs no server."""
