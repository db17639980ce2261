"""Trains models: by pretraining on images alone, by fine-tuning on classes, and by a linear probe of what is there."""
