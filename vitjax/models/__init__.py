"""Models as Flax modules, whose every activation can be read and edited by name."""
