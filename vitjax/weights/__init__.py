"""Makes models of the checkpoints of other libraries, and keeps and publishes what it has made."""
