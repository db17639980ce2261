"""Training of encoders: from images alone or with labels."""
