"""What every model stands on: taps and their sites, stacks of blocks, configs, and how a pass is carried out."""
