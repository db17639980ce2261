"""What units and regions of maps are called: by classes of photographs, and by what classes are kinds of."""
