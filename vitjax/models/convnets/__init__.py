"""The convolutional networks that stand beside Vision Transformers."""
