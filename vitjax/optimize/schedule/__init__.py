"""Runs a recipe's stages: how long each takes, at which size, and how one hands its pictures over to the next."""
