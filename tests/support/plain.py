"""What a recipe is without its augmentations: pictures seen once, as they are, which takes least to trace and compile.

For tests of what is around the loop, to which it is all the same how pictures are optimised.
"""

PLAIN = {"views": 1, "color": "none", "noise": 0, "jitter": 0, "total_variation": 0, "stages": ()}
BRIEF = {"steps": 2, **PLAIN, "stages": "[]"}
QUICK = ["--recipe", "ghiasi", *(word for name, value in BRIEF.items() for word in ("--set", f"{name}={value}"))]
