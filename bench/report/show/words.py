"""How numbers and techniques are written for people, the same everywhere."""

import html
import math
import re
from collections.abc import Iterable, Sequence

from bench.report.stats.estimate import Estimate

MINUS = "\N{MINUS SIGN}"


def percent(accuracy: float) -> str:
    """A fraction in percent with two decimals: one image of 10,000 is the last digit."""
    return "" if math.isnan(accuracy) else f"{accuracy:.2%}".replace("%", " %")


def points(difference: float) -> str:
    """A signed difference of accuracies in percentage points."""
    return signed(difference * 100, ".2f")


def margin_points(margin: float) -> str:
    """A practical margin in percentage points: two decimals, or as many digits as a smaller one takes."""
    text = f"{margin * 100:.2f}"
    return text if float(text) or not margin else f"{margin * 100:g}"


def percent_interval(low: float, high: float) -> str:
    """`99.02 to 99.30`; empty without an interval. An accuracy ends at 0 and 100 %, whatever a t interval says."""
    return "" if math.isnan(low) else f"{max(low, 0) * 100:.2f} to {min(high, 1) * 100:.2f}"


def points_interval(low: float, high: float) -> str:
    """`+0.10 to +0.32`; empty without an interval."""
    return "" if math.isnan(low) else f"{points(low)} to {points(high)}"


def how_surely(difference: Estimate, number: str = "") -> str:
    """`95 % interval +0.10 to +0.32, 5 seeds`; `number` says how many seeds where two arms have their own."""
    interval = points_interval(difference.low, difference.high)
    return f"{f'95 % interval {interval}, ' if interval else ''}{number or plural(difference.n, 'seed')}"


def times(ratio: float) -> str:
    """A ratio: `6.3 times`."""
    return f"{ratio:.1f} times"


def times_interval(low: float, high: float) -> str:
    """`6.1 to 6.5`; empty without an interval."""
    return "" if math.isnan(low) else f"{low:.1f} to {high:.1f}"


def milliseconds(seconds: float) -> str:
    """Seconds in milliseconds with one decimal."""
    return f"{seconds * 1000:.1f}"


def milliseconds_interval(low: float, high: float) -> str:
    """`2.1 to 2.5`; empty without an interval."""
    return "" if math.isnan(low) else f"{milliseconds(max(low, 0))} to {milliseconds(high)}"


def gigaflops(flops: float) -> str:
    """Operations a second in whole GFLOP/s; empty where they weren't measured."""
    return "" if math.isnan(flops) else f"{flops / 1e9:,.0f}"


def share(fraction: float) -> str:
    """A fraction in whole percent; empty for NaN."""
    return "" if math.isnan(fraction) else f"{fraction * 100:.0f} %"


def megabytes(size: float) -> str:
    """Bytes in whole MB; empty where it wasn't measured."""
    return "" if math.isnan(size) else f"{size / 1e6:,.0f}"


def markdown_text(text: str) -> str:
    """Words as they are in Markdown: no markup, no HTML, no link, no second line."""
    return re.sub(r"([\\|`*\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def signed(value: float, form: str) -> str:
    """With a sign, a true minus, and no sign on what rounds to nothing."""
    if math.isnan(value):
        return ""
    text = format(abs(value), form)
    if not any(digit in text for digit in "123456789"):
        return text
    return (MINUS if value < 0 else "+") + text


def count(value: float) -> str:
    """A whole number with commas; empty for NaN."""
    return "" if math.isnan(value) else f"{value:,.0f}"


def p_value(p: float) -> str:
    """Four decimals; `<0.0001` below them."""
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"


def seeds(number: float) -> str:
    """A number of seeds that would be needed; beyond a thousand only that, for the spread is an estimate itself."""
    return f"{number:,.0f}" if number <= 1000 else "over 1,000"


def seeds_range(low: float, high: float) -> str:
    """The range in which a number of seeds is known that would be needed: `82 to over 1,000`."""
    return seeds(low) if seeds(low) == seeds(high) else f"{seeds(low)} to {seeds(high)}"


def seeds_of(treated: int, baseline: int) -> str:
    """How many seeds two arms have: `5 seeds` each, or `5 seeds against 20`."""
    number = plural(treated, "seed")
    return number if treated == baseline else f"{number} against {baseline:,}"


def speed_change(ratio: float, low: float, high: float) -> str:
    """A ratio of speeds as a change in percent with its interval: `-9 % (-11 to -7)`; `same` for the same samples."""
    if math.isnan(ratio):
        return ""
    if ratio == 1:
        return "same"
    change = f"{signed(ratio * 100 - 100, '.0f')} %"
    if math.isnan(low):
        return change
    return f"{change} ({signed(low * 100 - 100, '.0f')} to {signed(high * 100 - 100, '.0f')})"


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def few(items: Sequence[str], most: int = 6) -> str:
    """`a, b and c`, and of more than `most` items the first ones: `a, b and 15 more`."""
    more = len(items) - most
    return listed(items) if more <= 0 else listed([*items[:most], f"{more:,} more"])


def shortened(sentences: Iterable[str], most: int, table: str) -> list[str]:
    """The first `most` sentences, and one that says where the rest can be read."""
    texts = list(sentences)
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], f"And {more:,} more: tables/{table}.csv has them all."]


def plural(number: int, noun: str, several: str = "") -> str:
    """`1 seed`, `5 seeds`; `several` is the plural where it isn't made with an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def sentence(text: str) -> str:
    """With a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
