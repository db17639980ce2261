"""Flax modules and nothing else: images in, named activations out."""
