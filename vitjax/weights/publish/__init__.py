"""Keeps converted models, in a cache, in folders and on the hub, with where they came from."""
