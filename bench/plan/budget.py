"""What a run may spend: time, or trials."""

import re
from dataclasses import dataclass

from bench.errors import UsageError

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_AMOUNT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*(s|min|h|trials?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Budget:
    """So many seconds from the start of a command, and so many trials in it; None where there is no limit."""

    seconds: float | None = None
    trials: int | None = None


def read_budget(text: str) -> Budget:
    """A budget like 3h, 1h 30min or 200trials; of time and trials, as in 3h,200trials, what is spent first ends the
    run. Raises UsageError."""
    seconds, trials = None, None
    parts = [part for part in re.split(r"[,\s]*(?<=[a-z])[,\s]*(?=[0-9])", text.strip()) if part]
    for part in parts or [text]:
        amount = _AMOUNT.fullmatch(part)
        whole = amount is not None and (amount[2] in _SECONDS or amount[1].isdigit())
        if amount is None or not whole or not float(amount[1]):
            raise UsageError(f"--budget is a time or a number of trials, as in 3h, 90min or 200trials, not {text!r}")
        if amount[2] in _SECONDS:
            seconds = (seconds or 0.0) + float(amount[1]) * _SECONDS[amount[2]]
        else:
            trials = (trials or 0) + int(amount[1])
    return Budget(seconds, trials)
