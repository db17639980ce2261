"""Files as the authors of an architecture published them, in the names of their own code."""
