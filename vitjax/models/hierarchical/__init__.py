"""Vision Transformers whose stages have fewer and fewer tokens, and more and more channels."""
