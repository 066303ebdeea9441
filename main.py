"""The published command: `python main.py --model model3 --epochs 20 --lr 0.01 --batch_size 64 --data_dir ./data`."""

import sys

from bench.__main__ import main


def with_dashes(argument: str) -> str:
    """`--batch_size` as `--batch-size`; values keep their underscores."""
    if not argument.startswith("--"):
        return argument
    option, equals, value = argument.partition("=")
    return option.replace("_", "-") + equals + value


if __name__ == "__main__":
    sys.argv[1:] = ["train", *map(with_dashes, sys.argv[1:])]
    main()
