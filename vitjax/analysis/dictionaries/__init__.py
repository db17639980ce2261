"""How good dictionaries of features are: each measure by one definition."""
