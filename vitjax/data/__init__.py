"""Opens photographs wherever they lie, prepares them in batches as a model wants them, and finds their classes."""
