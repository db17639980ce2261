"""Dictionaries of features that learn: tokens from images, kinds of sparsity, one update, a run."""
