"""Scores of units: how often they are active, how alike what they respond to is, and how one could tell it."""
