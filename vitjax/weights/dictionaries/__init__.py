"""Dictionaries of features from files: ours, and those of saev, Prisma, overcomplete and others."""
