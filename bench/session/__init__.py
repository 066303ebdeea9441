"""What the command line and Python both do: a request resolved, trained, recorded, reported."""
