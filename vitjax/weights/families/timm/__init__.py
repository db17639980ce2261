"""Checkpoints of timm: arguments, architectures and names of tensors."""
