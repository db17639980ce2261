"""What an atlas will take, before anything of it is made."""
