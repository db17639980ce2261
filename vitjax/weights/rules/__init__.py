"""Rule tables, and what else is done to tensors on their way into a model's arrays."""
