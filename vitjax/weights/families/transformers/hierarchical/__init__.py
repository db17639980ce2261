"""The hierarchical Vision Transformers of Hugging Face transformers: their configs, and how they name their tensors."""
