"""Measures how fast the compiled loop makes pictures on a machine, and what its devices could do at most."""
