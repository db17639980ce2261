"""Reads files of weights, of whatever format; nothing in them is ever executed."""
