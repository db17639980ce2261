"""The documentation: a page a file, and what makes a site of them."""
