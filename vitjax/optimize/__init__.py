"""Makes pictures for units: recipes, parametrizations, views, objectives and the compiled loop."""
