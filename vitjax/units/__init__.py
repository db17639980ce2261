"""Names of units, and where in a tap's value they lie."""
