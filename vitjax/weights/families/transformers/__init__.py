"""Checkpoints of Hugging Face transformers: configs, processors and names of tensors."""
