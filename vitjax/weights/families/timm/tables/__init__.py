"""Hierarchical and hybrid architectures of timm by name, as arguments of timm's classes, without importing JAX."""
