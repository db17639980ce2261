"""timm's hierarchical Vision Transformers: their configs by timm's arguments, and how timm names their tensors."""
