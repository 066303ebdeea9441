"""What to train: factors, cells, designs, protocols, trials and their seeds. Pure: no torch, no files."""
