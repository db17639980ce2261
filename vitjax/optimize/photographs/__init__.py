"""Pictures from pictures: they begin with a photograph, are to be like one, or change one and stay near it."""
