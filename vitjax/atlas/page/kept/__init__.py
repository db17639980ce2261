"""What an atlas's store keeps, made out for the page: activation maps, silent units, recipes by name."""
