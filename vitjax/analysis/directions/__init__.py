"""Directions that a data set has in the value of a tap, and what one image is made of at every place."""
