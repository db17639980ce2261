"""What single units do on images: where they are active, on what, and under which changes."""
