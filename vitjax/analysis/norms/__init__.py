"""Tokens of huge norm: where they stand, what they are for and what they cost."""
