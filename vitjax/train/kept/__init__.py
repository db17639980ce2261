"""What a run leaves in its folder: settings, checkpoints, curves, pictures, and at the end a model."""
