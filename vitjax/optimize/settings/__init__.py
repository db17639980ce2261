"""What the settings of a recipe may be, and those of its stages."""
