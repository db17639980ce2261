"""Masked image modelling of hierarchical Transformers that see only what is visible (Huang et al. 2022, 2205.13515)."""
