"""The embedded model: a small ViT trained from scratch with a teacher on Tiny ImageNet (200 classes, 64 pixels).

`config.json` says what it is, its tensors have timm's names (see `vitjax.weights.families.own`). `experiments/demo` has
the scripts, the settings, the curves and the accuracy.
"""
