"""The published networks, in plain torch: `model3((1, 28, 28), 10, batch_norm=False)` gives the module."""
