"""Serves exported atlases to a browser on this machine."""
