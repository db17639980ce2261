"""Finds what is known of photographs: their classes, and the boxes and masks of their objects."""
