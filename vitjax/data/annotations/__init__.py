"""What is known of photographs: their classes, the boxes and masks of their objects, their splits."""
