"""Report cards: whether a picture of a unit can be trusted."""
