"""What a layer's activations are, as a whole: sampled, whitened, laid out in the plane and gathered in cells."""
