"""Finds and reads photographs wherever they lie: in folders, zips, tables, arrays and on the hub."""
