"""What a classifier loses when something of the model or the image is taken away."""
