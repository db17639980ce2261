"""Models and images in, findings out: what units respond to, how good a picture is, what the network relies on."""
