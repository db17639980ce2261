"""Makes an atlas as a job over a store: looks at photographs, paints, grades, paints again, compares."""
