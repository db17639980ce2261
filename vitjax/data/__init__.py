"""Photographs in: folders and zips of images, prepared as a model wants them."""
