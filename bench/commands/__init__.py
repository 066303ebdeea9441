"""One command a file; what several of them share is in `options` and `session`."""
