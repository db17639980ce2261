"""The sources of checkpoints: how each says what it holds, and what it calls its tensors."""
