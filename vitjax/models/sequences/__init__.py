"""Transformers over sequences of tokens that are no image: attention among all, BigBird and Reformer."""
