"""Data, augmentation, training and timing, in torch. Reads data files and never a result."""
