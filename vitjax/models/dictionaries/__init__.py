"""Dictionaries of features, whose latents are taps of a model."""
