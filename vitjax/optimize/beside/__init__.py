"""What is kept beside a picture: frames of its optimisation, and where its activation came from."""
