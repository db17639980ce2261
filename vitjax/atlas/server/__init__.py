"""The web server that shows exported atlases on this machine."""
