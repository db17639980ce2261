"""Units to pictures: unit ids, parametrizations, augmentations, objectives, recipes and the compiled loop."""
