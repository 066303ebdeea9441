"""A benchmark and ablation harness for small image classifiers: `python -m bench --help`."""
