"""What units respond to among photographs."""
