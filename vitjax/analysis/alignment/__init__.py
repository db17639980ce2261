"""Two models side by side over the same images: which units are alike, and which layers."""
