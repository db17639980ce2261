"""Finished pictures: kept, laid out on sheets, and reported while they are made."""
