"""An atlas as a job: what is to be made, who makes it, and when it ends."""
