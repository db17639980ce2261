"""Finds the files that a model's name means, on disk or on the hub."""
