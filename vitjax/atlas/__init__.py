"""A whole network painted as one job over a store, graded, and published as a page to explore."""
