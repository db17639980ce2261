"""Writes converted models into folders and publishes them, with where they came from."""
