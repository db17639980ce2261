"""Photographs in: folders, zips, tables and hub data sets; out: batches as a model wants them, and their classes."""
