"""Compares the units of a graded atlas, scores them by an encoder, and makes the tables that the page reads."""
