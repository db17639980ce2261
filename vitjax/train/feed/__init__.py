"""Photographs to batches without end: shuffled, cropped and mirrored at random, the same for every number of hosts."""
