"""Several hundred study files that are broken, each somewhere else; made from one that is good."""

import ast
import io
import tokenize
from collections.abc import Iterator

from tests.studies import GOOD, edited

# Messages that are hard to say in one line.
MESSAGES = {
    "plain": "no luck",
    "empty": "",
    "lines": "first\n\n  second\r\nthird",
    "foreign": "kein Glück, 没有, \U0001f648",
    "controls": "tab\tbell\x07 escape\x1b[31m null\x00",
    "long": "x" * 5000,
    "surrogate": "\udc80",
    "braces": "{0} %s [red]{}",
}
RAISED = {
    **{f"{name} ValueError": f"ValueError({text!r})" for name, text in MESSAGES.items()},
    "KeyError": "KeyError(3)",
    "no argument": "AssertionError()",
    "OSError": "FileNotFoundError(2, 'No such file', 'a/b')",
    "StopIteration": "StopIteration()",
    "recursion": "RecursionError('deep')",
    "not implemented": "NotImplementedError",
    "import": "ModuleNotFoundError('No module named \\'torchvison\\'')",
    "group": "ExceptionGroup('many', [ValueError('one')])",
    "exit": "SystemExit(0)",
    "exit 3": "SystemExit(3)",
    "exit text": "SystemExit('bye')",
    "type error": "TypeError('a\\nb')",
    "syntax": "SyntaxError('odd')",
    "warning": "UserWarning('odd')",
    "unsayable": "type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "memory": "MemoryError()",
}
WRONG_VALUES = (
    "None", "3", "-1", "0", "2.5", "float('nan')", "'text'", "''", "[]", "{}", "()", "object()", "print", "True",
    "b'x'", "[None]", "{'a': 1}", "lambda: None", "type", "1e400", "'a' * 200", "[[]]",
)  # fmt: skip

CALLABLE = ("print", "lambda: None", "type")

# What values may stand for an argument, and so aren't wrong.
FINE = {
    ("Study", "architectures"): {"[print]"},
    ("Study", "factors"): {"()", "[]"},
    ("Study", "data"): {"None"},
    ("Study", "design"): set(),
    ("Study", "seeds"): {"3"},
    ("Study", "epochs"): {"None", "3"},
    ("Study", "batch_size"): {"None", "3"},
    ("Study", "optimizer"): {"None"},
    ("Study", "lr"): {"None", "3", "2.5"},
    ("Study", "precision"): set(),
    ("Study", "rates"): {"None", "3", "2.5"},
    ("Study", "rates_by"): {"()", "[]"},
    ("Study", "preset"): {"{}"},
    ("Study", "claims"): {"()", "[]", *CALLABLE},
    ("Study", "title"): {"'text'", "''", "'a' * 200"},
    ("Factor", "levels"): set(),
    ("Factor", "off"): {"None", "'text'"},
    ("Factor", "change"): {"None", *CALLABLE},
    ("Factor", "on"): {"None"},
    ("Factor", "words"): {"()", "[]", "''"},
    ("Factor", "summary"): {"'text'", "''", "'a' * 200"},
    ("Architecture", "name"): {"'text'", "''"},
    ("Architecture", "title"): {"'text'", "''", "'a' * 200"},
    ("Architecture", "preset"): {"{}"},
    ("Architecture", "published"): {"None"},
    ("Architecture", "source"): {"'text'", "''", "'a' * 200"},
}  # fmt: skip


# Studies that can be read and listed, and nothing can be trained of.
_ODD_WHEN_PLANNED = {
    "a path of one": "STUDY = Study([tiny], design='path', data='digits')",
    "rates for some": "STUDY = Study([tiny], rates={('step',): 0.1}, rates_by=['scheduler'], data='digits')",
    "adamw without a rate": "STUDY = Study([tiny], optimizer='adamw', data='digits')",
    "arrays of two sizes": "STUDY = Study([tiny], data=from_arrays('a', ([[[1]], [[1, 2]]], [0, 1]), ([[[1]]], [0])))",
    "arrays with NaN": "STUDY = Study([tiny], data=from_arrays('a', (torch.full((9, 1, 8, 8), torch.nan),"
    " [0, 1, 2] * 3), (torch.zeros(3, 1, 8, 8), [0, 1, 2])))",
    "labels out of range": "STUDY = Study([tiny], data=from_arrays('a', (torch.zeros(9, 1, 8, 8), [0, 1, 9] * 3),"
    " (torch.zeros(3, 1, 8, 8), [0, 1, 2]), classes=3))",
    "a class in test only": "STUDY = Study([tiny], data=from_arrays('a', (torch.zeros(9, 1, 8, 8), [0, 1, 1] * 3),"
    " (torch.zeros(3, 1, 8, 8), [0, 1, 2])))",
}


def broken_when_read() -> Iterator[tuple[str, str]]:
    """Files that nothing can be made of: a name, and the text."""
    yield from _damaged()
    yield from _without_names()
    yield from _wrong_arguments()
    for name, error in RAISED.items():
        yield f"raise {name} when read", edited(("STUDY = Study(", f"raise {error}\nSTUDY = Study("))
    yield from _odd_studies()


def broken_when_built() -> Iterator[tuple[str, str]]:
    """Files whose networks can't be built or don't give logits."""
    body = "    return nn.Sequential("
    for name, error in RAISED.items():
        yield f"raise {name} in the builder", edited((body, f"    raise {error}\n{body}"))
    for value in ("None", "3", "nn", "'net'", "tiny", "nn.Linear", "[nn.Linear(1, 1)]", "lambda images: images", "()"):
        yield f"the builder returns {value}", edited((body, f"    return {value}\n{body}"))
    yield "the builder calls itself", edited((body, f"    return tiny(shape, classes)\n{body}"))
    yield "the builder yields", edited((body, f"    yield 1\n{body}"))
    yield "the builder waits", edited(("def tiny", "async def tiny"))
    yield (
        "a level of the wrong type",
        edited(("levels=(4, 8)", "levels=('four', 'eight')"), ("width=4", "width='four'")),
    )
    for line in ("from functools import partial", "from torch import nn"):
        yield f"without {line}", edited((line + "\n", ""))
    for value in CALLABLE:
        yield f"a change that is {value}", edited(("change=smoothed", f"change={value}"))
        yield (
            f"an architecture {value}",
            edited(("[tiny]", f"[{value}]"), ('        Factor("width", levels=(4, 8)),\n', "")),
        )
    for name, study in _ODD_WHEN_PLANNED.items():
        yield name, _with_study(study)
    last = "nn.Linear(4 * width, classes)"
    for layer in ("nn.Linear(4 * width, 7)", "nn.Linear(3, classes)", "nn.Identity()", "nn.Unflatten(1, (2, -1))"):
        yield f"at last {layer}", edited((last, layer))
    for name, result in {
        "nothing": "None",
        "two": "x, x",
        "a dict": "{'logits': x}",
        "numbers": "x.argmax(1)",
        "one number": "x.mean()",
        "a list": "x.tolist()",
        "half of them": "x[:1]",
        "a shape": "x.shape",
    }.items():
        net = f"class Odd(nn.Module):\n    def forward(self, x):\n        return {result}\n\n\ndef tiny"
        yield f"a network that returns {name}", edited(("def tiny", net), (last, f"{last}, Odd()"))
    for name, error in RAISED.items():
        net = f"class Odd(nn.Module):\n    def forward(self, x):\n        raise {error}\n\n\ndef tiny"
        yield f"raise {name} in forward", edited(("def tiny", net), (last, f"{last}, Odd()"))


def broken_when_trained() -> Iterator[tuple[str, str]]:
    """Files that only a training step finds to be broken."""
    change = "recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))"
    for name, error in RAISED.items():
        raising = f"def odd(*given):\n    raise {error}\n\n\ndef smoothed"
        yield f"raise {name} in a change", edited((f"return {change}", f"raise {error}"))
        for part in ("loss", "optimizer", "schedule", "batch", "before_step", "after_step"):
            if name in {"lines ValueError", "empty ValueError", "surrogate ValueError", "exit", "unsayable"}:
                yield f"raise {name} in {part}", edited((change, f"recipe.with_{part}(odd)"), ("def smoothed", raising))
    for value in ("None", "3", "Recipe", "(recipe, level)", "'recipe'", "recipe.loss"):
        yield f"a change returns {value}", edited((f"return {change}", f"return {value}"))
    for part in ("loss", "optimizer", "schedule", "batch", "before_step", "after_step"):
        yield f"with_{part} of 3", edited((change, f"recipe.with_{part}(3)"))
        yield f"with_{part} of nothing", edited((change, f"recipe.with_{part}()"))
    for part, value in (
        ("loss", "None"), ("loss", "3.0"), ("loss", "torch.ones(())"), ("loss", "given[0]"),
        ("loss", "given[0].sum().item()"), ("optimizer", "None"), ("optimizer", "torch.optim.SGD"), ("optimizer", "3"),
        ("schedule", "None"), ("schedule", "given[0]"), ("batch", "None"), ("batch", "given[0]"),
        ("batch", "given[0], None"), ("batch", "given"), ("batch", "given[0][:1], given[1]"),
        ("batch", "given[0], given[1].float()"), ("batch", "given[0].long(), given[1]"),
    ):  # fmt: skip
        yield f"{part} gives {value}", edited((change, f"recipe.with_{part}(lambda *given: {value})"))
    yield "a change of three", edited(("def smoothed(recipe, level)", "def smoothed(recipe, level, more)"))
    yield "a change of none", edited(("def smoothed(recipe, level)", "def smoothed()"))


def _damaged() -> Iterator[tuple[str, str]]:
    """Without a token, with one twice, or cut off; those that aren't Python any more."""
    found = [t for t in tokenize.generate_tokens(io.StringIO(GOOD).readline) if t.string.strip()]
    lines = GOOD.splitlines(keepends=True)
    for number, token in enumerate(found[2:]):
        (row, start), (_, end) = token.start, token.end
        line = lines[row - 1]
        without = "".join([*lines[: row - 1], line[:start] + line[end:], *lines[row:]])
        twice = "".join([*lines[: row - 1], line[:end] + " " + line[start:], *lines[row:]])
        cut = "".join([*lines[: row - 1], line[:start]])
        for name, text in (("without", without), ("twice", twice), ("cut at", cut)):
            if number % 3 == ("without", "twice", "cut at").index(name) and not _is_python(text):
                yield f"{name} {token.string} in line {row}", text
    yield "nothing", ""
    yield "null", GOOD + "\0"
    yield "tabs", edited(("    norm", "\tnorm"))
    yield "not closed", GOOD + '"""'
    yield "bad escape", GOOD + "x = '\\N{no such}'\n"
    yield "surrogate", GOOD + "x = '\udc80'\n"
    yield "coding", "# -*- coding: klingon -*-\n" + GOOD


def _without_names() -> Iterator[tuple[str, str]]:
    """With a name that nothing has, everywhere but where it is made."""
    for name in ("partial", "nn", "Factor", "Study", "tiny", "smoothed", "STUDY"):
        for at in range(GOOD.count(f"{name}(") + GOOD.count(f"{name},") + GOOD.count(f"{name}]")):
            text, place = GOOD, -1
            for _ in range(at + 1):
                place = next((i for i in range(place + 1, len(text)) if text.startswith(name, i)), -1)
            if place >= 0:
                yield f"{name} number {at} misspelt", text[:place] + "Missing" + text[place + len(name) :]
    for line in GOOD.splitlines():
        if line.startswith("from bench"):
            yield f"without {line[:30]}", edited((line + "\n", ""))


def _wrong_arguments() -> Iterator[tuple[str, str]]:
    """Every argument of Study, Factor and Architecture with values that it can't have."""
    for (kind, argument), fine in FINE.items():
        for value in WRONG_VALUES:
            if value in fine:
                continue
            if kind == "Study":
                study = (
                    f"STUDY = Study(**{{**dict(architectures=[tiny], data='digits', epochs=1), '{argument}': {value}}})"
                )
            elif kind == "Factor":
                given = f"{{**dict(levels=(4, 8)), '{argument}': {value}}}"
                study = f"STUDY = Study([tiny], [Factor('width', **{given})], data='digits', epochs=1)"
            else:
                study = f"STUDY = Study([Architecture(tiny, {argument}={value})], data='digits', epochs=1)"
            yield f"{kind} with {argument}={value}", _with_study(study)
    for value in WRONG_VALUES:
        yield (
            f"a factor called {value}",
            _with_study(f"STUDY = Study([tiny], [Factor({value}, (4, 8))], data='digits')"),
        )
        if value not in CALLABLE:
            yield f"an architecture {value}", _with_study(f"STUDY = Study([{value}], data='digits')")
        if value not in {"3", "-1", "0", "2.5", "'text'", "True"}:
            yield (
                f"a level {value}",
                _with_study(f"STUDY = Study([tiny], [Factor('width', (4, {value}))], data='digits')"),
            )
        yield f"STUDY is {value}", _with_study(f"STUDY = {value}")


def _odd_studies() -> Iterator[tuple[str, str]]:
    for name, study in {
        "no study": "x = 1",
        "a study of nothing": "STUDY = Study()",
        "no architectures": "STUDY = Study([])",
        "the class": "STUDY = Study",
        "an unknown argument": "STUDY = Study([tiny], epoch=3)",
        "a factor of an unknown argument": "STUDY = Study([tiny], [Factor('width', (4, 8), default=4)])",
        "two factors of one name": "STUDY = Study([tiny], [Factor('width', (4, 8)), Factor('width', (4, 16))])",
        "two architectures of one name": "STUDY = Study([tiny, tiny])",
        "a factor that applies to nothing": "STUDY = Study([tiny], [Factor('depth', (1, 2))])",
        "a level twice": "STUDY = Study([tiny], [Factor('width', (4, 4))])",
        "a default that is no level": "STUDY = Study([tiny], [Factor('width', (8, 16))])",
        "a keyword without a default": "STUDY = Study([lambda shape, classes, width: None])",
        "a builder of nothing": "STUDY = Study([lambda: None])",
        "a builder without a name": "STUDY = Study([lambda shape, classes: None])",
        "an unknown data set": "STUDY = Study([tiny], data='digit')",
        "an unknown model": "STUDY = Study(['model9'])",
        "an unknown design": "STUDY = Study([tiny], design='toggle', data='digits')",
        "a preset of no factor": "STUDY = Study([tiny], preset={'schedule': 'onecycle'})",
        "a preset of no level": "STUDY = Study([tiny], preset={'scheduler': 'linear'})",
        "a preset of a keyword": "STUDY = Study([tiny], [Factor('width', (4, 8))], preset={'width': 8})",
        "rates by nothing": "STUDY = Study([tiny], rates={('step',): 0.1}, rates_by=['schedule'])",
        "rates of no level": "STUDY = Study([tiny], rates={('linear',): 0.1}, rates_by=['scheduler'])",
        "rates below 0": "STUDY = Study([tiny], rates={('step',): -1}, rates_by=['scheduler'])",
        "Rates of nothing": "STUDY = Study([tiny], rates=Rates(('x',), {}), data='digits')",
        "Rates of a number": "STUDY = Study([tiny], rates=Rates(3, 4), data='digits')",
        "claims of numbers": "STUDY = Study([tiny], claims=3, data='digits')",
        "published of text": "STUDY = Study([Architecture(tiny, published='yes')], data='digits')",
    }.items():
        yield name, _with_study(study)
    yield (
        "endless recursion",
        edited(("STUDY = Study(", "def deep(x):\n    return deep(x) + 1\n\n\ndeep(1)\nSTUDY = Study(")),
    )
    yield "endless data", edited(("STUDY = Study(", "x = []\nx.append(x)\nSTUDY = Study(x, "))
    yield "an interrupt", edited(("STUDY = Study(", "raise GeneratorExit\nSTUDY = Study("))


def _with_study(study: str) -> str:
    return GOOD[: GOOD.index("STUDY = Study(")] + study + "\n"


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True
