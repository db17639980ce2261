"""How tokens cluster by the object that they show."""
