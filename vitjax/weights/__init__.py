"""Checkpoints of other libraries in, models out."""
