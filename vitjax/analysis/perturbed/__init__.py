"""What embeddings and predictions keep when images are occluded or shuffled."""
