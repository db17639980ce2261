"""Commands that list what there is: checkpoints, taps of a model, recipes, and what a shell completes."""
