"""Keeps finished pictures and lays them out on sheets."""
