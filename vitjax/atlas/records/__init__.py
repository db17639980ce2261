"""Says what the store of an atlas holds, from its manifest to its end, and checks it."""
