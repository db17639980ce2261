"""The embedded model: a small ViT trained from scratch on Tiny ImageNet (200 classes, 64 pixels), in timm's form.

`experiments/demo` has the scripts, the settings, the curves and the accuracy.
"""
