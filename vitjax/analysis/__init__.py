"""Measures models on images: what units respond to, how good a picture is, what the network relies on."""
