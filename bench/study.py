"""What a study's file imports: `STUDY = Study(architectures=[tiny], data="digits")` beside a builder `tiny`.

Nothing else is public. `bench new my_study.py` writes such a file with comments to start from. From Python, as in a
notebook, `run(STUDY)` trains it and returns its rows as a DataFrame, and `report(STUDY)` writes its report.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, cast, get_args

from bench.errors import UsageError, near_matches
from bench.plan import arguments
from bench.plan.architecture import Architecture, Published
from bench.plan.catalogue import Catalogue, Defaults, Rates, built_in
from bench.plan.designs import DESIGNS, OWN_FACTORS
from bench.plan.factors import HARNESS, Factor
from bench.plan.handled import as_looked_up
from bench.plan.levels import Level
from bench.plan.protocol import Optimizer, Precision
from bench.plan.rates import DEFAULT_TRIED, checked_rate, default_rates, rates_by
from bench.plan.readouts import READOUTS, Readout, check_readout, chosen_readouts
from bench.plan.search import Search, open_factors
from bench.session.modules import digest_of_files, folder_name, is_installed, modules_of
from bench.session.python import report, run
from bench.sources.arrays import from_arrays, npz
from bench.sources.folder import image_folder
from bench.sources.idx import from_idx
from bench.sources.published import from_torchvision, hugging_face
from bench.train.phase import Phase
from bench.train.recipe import Recipe
from bench.train.teacher import Teacher

__all__ = [
    "Architecture",
    "Factor",
    "Phase",
    "Published",
    "Rates",
    "Readout",
    "Recipe",
    "Search",
    "Study",
    "Teacher",
    "from_arrays",
    "from_idx",
    "from_torchvision",
    "hugging_face",
    "image_folder",
    "npz",
    "report",
    "run",
]


@dataclass(frozen=True, eq=False)
class Study:
    """What is compared: `architectures` are builders, functions `(shape, classes, **levels) -> nn.Module`, or
    `Architecture(...)` around one, or the name of a built-in one. `factors` are the study's own; batch_norm, gap and
    dropout come with the harness for builders that have such a keyword, augmentation and scheduler for all.

    `data` is a data set from one of the sources, or the name of a built-in one, or several of them. What follows is
    what `bench run` takes where its options don't say otherwise: design, seeds, epochs, batch_size, optimizer, lr,
    precision, and the `readouts` that each training is read out by beside its last weights, as in ("ema", "swa"), by
    name or as a `Readout(...)` of the study's own.
    `rates` are the learning rates: one for all, or by the levels of the factors that `rates_by` names, as in {("sgd",):
    0.05, ("adamw",): 0.001}; `architecture` among these stands for the architecture's name. `rates_on` are those of
    data sets that need their own, by the data set's name. `preset` says the levels of training factors for all
    architectures where they aren't `off`. `claims` are what `bench.report.sections.claims` tests, or a function that
    returns them. `search` is the space that `bench search` looks through. `name` is that of the folder of its rows: its
    file's, if not said.

    Raises UsageError for what can't be, when it is made.
    """

    architectures: Sequence[Callable[..., Any] | Architecture | str]
    factors: Sequence[Factor] = ()
    data: Any = None
    design: str = "toggles"
    seeds: int = 5
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    precision: str = "auto"
    readouts: Sequence[str | Readout] = ()
    rates: float | Mapping[Any, float] | Rates | None = None
    rates_by: Sequence[str] = ()
    rates_on: Mapping[str, Any] = field(default_factory=dict)
    preset: Mapping[str, Level] = field(default_factory=dict)
    claims: Sequence[Any] | Callable[[], Sequence[Any]] = ()
    search: Search | None = None
    title: str = ""
    name: str = ""
    place: str = field(init=False, default="", repr=False)
    _names: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        frame = _caller()
        place = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        object.__setattr__(self, "place", "" if frame.f_code.co_filename.startswith("<") else place)
        object.__setattr__(self, "_names", frame.f_globals)
        self._check()

    def _check(self) -> None:
        for one in arguments.listed("architectures", "[tiny]", self.architectures):
            if not (callable(one) or isinstance(one, Architecture | str)):
                raise UsageError(f"an architecture is a function (shape, classes, ...) or a name, not {one!r}")
        for one in arguments.listed("factors", "[Factor('width', (8, 16))]", self.factors):
            if not isinstance(one, Factor):
                raise UsageError(f"factors are a list of Factor(...), not {one!r}")
        if self.search is not None and not isinstance(self.search, Search):
            raise UsageError(f"search is Search(...) from bench.study, not {type(self.search).__name__}")
        self._check_values()

    def _check_values(self) -> None:
        for name in arguments.listed("rates_by", "['scheduler']", self.rates_by):
            arguments.text("rates_by: the name of a factor", name)
        arguments.one_of("design", DESIGNS, self.design)
        if self.optimizer is not None:
            arguments.one_of("optimizer", get_args(Optimizer), self.optimizer)
        arguments.one_of("precision", ("auto", *get_args(Precision)), self.precision)
        self._readouts()
        arguments.mapping("rates_on", "{'flowers': 0.03}", self.rates_on)
        arguments.mapping("preset", "{'scheduler': 'onecycle'}", self.preset)
        for name in ("title", "name"):
            arguments.text(name, getattr(self, name))
        said = [name for name in ("epochs", "batch_size") if getattr(self, name) is not None]
        for name in ("seeds", *said):
            arguments.whole(name, getattr(self, name))
        if self.lr is not None:
            arguments.above_zero("lr", self.lr)
        if not callable(self.claims):
            for one in arguments.listed("claims", "[Claim(...)]", self.claims):
                if not callable(getattr(one, "test", None)):
                    raise UsageError(f"a claim is Claim(...) from bench.report.sections.claims, not {one!r}")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_names": {}}  # where a builder uses its study, the whole file needn't travel

    def here(self) -> Catalogue:
        """As `catalogue`, for a study that was made in this process. Raises UsageError."""
        file = self._names.get("__file__")
        modules = modules_of(self._names)
        files = [Path(place) for one in modules if isinstance(place := getattr(one, "__file__", None), str)]
        title = str(self._names.get("__doc__") or "").strip().partition("\n")[0] if isinstance(file, str) else ""
        found = self.catalogue(
            folder_name(Path(file).stem) if isinstance(file, str) else "study",
            digest_of_files(files) if files else "",
            title,
        )
        # What is in __main__ travels by content anyway.
        carried = tuple(one for one in modules if one.__name__ != "__main__" and not is_installed(one))
        return replace(found, modules=carried)

    def catalogue(self, name: str, digest: str = "", title: str = "") -> Catalogue:
        """The study as what there is to choose from. Its own name counts before `name`. Raises UsageError."""
        listed = self._architectures()
        search, architectures = self._searched(listed)
        factors = self._factors(architectures, search)
        datasets = self._datasets()
        names = [one.name for one in architectures]
        rates = self._rates(self.rates, factors, names)
        own_readouts, read_out_by = self._readouts()
        found = Catalogue(
            architectures={one.name: one for one in architectures},
            factors=factors,
            rates=rates,
            rates_on={on: self._rates_like(rates, own, factors, names) for on, own in self.rates_on.items()},
            datasets=datasets,
            defaults=Defaults(
                design=self.design,
                seeds=self.seeds,
                epochs=self.epochs,
                batch_size=self.batch_size,
                optimizer=self.optimizer,
                lr=self.lr,
                precision=self.precision,
                readouts=read_out_by,
            ),
            claims=self.claims if callable(self.claims) else tuple(self.claims),
            name=folder_name(self.name) if self.name else name,
            title=self.title or title,
            digest=digest,
            search=search,
            readouts=own_readouts,
            only_searched=tuple(one.name for one in architectures if one not in listed),
        )
        found.check()
        return found

    def _searched(self, listed: list[Architecture]) -> tuple[Search | None, list[Architecture]]:
        """The search with its architecture, and the study's architectures with that."""
        if self.search is None:
            return None, listed
        given = self.search.architecture
        known = {one.name: one for one in listed}
        if isinstance(given, str) and given in known:
            return replace(self.search, architecture=known[given]), listed
        found = self._architecture(given)
        own = known.get(found.name, found)
        if own.build is not found.build:
            raise UsageError(f"two architectures are called {own.name}: name one, as in Architecture(build, name='b')")
        return replace(self.search, architecture=own), listed if own is not found else [*listed, found]

    def _architectures(self) -> list[Architecture]:
        found = [self._architecture(one) for one in self.architectures]
        names = [one.name for one in found]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two architectures are called {name}: name one, as in Architecture(build, name='b')")
        return found

    def _architecture(self, given: Callable[..., Any] | Architecture | str) -> Architecture:
        if isinstance(given, str):
            known = built_in().architectures
            if given not in known:
                raise UsageError(f"no built-in architecture is called {given!r}: {near_matches(given, known)}")
            found = known[given]
        else:
            found = given if isinstance(given, Architecture) else Architecture(given)
        return replace(found, preset={**self.preset, **found.preset}) if self.preset else found

    def _factors(self, architectures: Sequence[Architecture], search: Search | None) -> tuple[Factor, ...]:
        """The harness's factors that apply and that the study doesn't replace, then its own, then those that a search
        leaves open."""
        for factor in self.factors:
            if factor.design:
                arguments.one_of(f"factor {factor.name}: design", OWN_FACTORS, factor.design)
        own = {factor.name for factor in self.factors}
        harness = [
            _with_presets(factor, architectures)
            for factor in HARNESS
            if factor.name not in own and any(one.applies(factor) for one in architectures)
        ]
        keywords = {name for one in architectures for name in one.keywords}
        known = [*harness, *(as_looked_up(factor, keywords) for factor in self.factors)]
        if search is not None and isinstance(search.architecture, Architecture):
            known += open_factors(search.architecture, {factor.name: factor for factor in known})
        return tuple(known)

    def _rates_like(self, usual: Rates, said: Any, factors: Sequence[Factor], architectures: Sequence[str]) -> Rates:
        """A data set's own; one number is for all that the study's usual ones go by."""
        if isinstance(said, int | float) and not isinstance(said, bool):
            return self._chosen(usual.by, dict.fromkeys(usual.rate, checked_rate(said)))
        return self._rates(said, factors, architectures)

    def _rates(self, said: Any, factors: Sequence[Factor], architectures: Sequence[str]) -> Rates:
        if isinstance(said, Rates):
            return said
        if said is None and not self.rates_by:
            return default_rates(factors, self._optimizer)
        if isinstance(said, int | float) and not isinstance(said, bool):
            return self._chosen((), {(): checked_rate(said)})
        if not isinstance(said, Mapping) or not self.rates_by:
            raise UsageError(
                "rates are a number, or numbers by levels with the names of the factors that they go by: "
                "rates={('sgd',): 0.05, ('adamw',): 0.001}, rates_by=['optimizer']"
            )
        by = tuple(self.rates_by)
        return self._chosen(by, rates_by(by, said, factors, architectures))

    def _chosen(self, by: tuple[str, ...], rate: Mapping[tuple[Level, ...], float]) -> Rates:
        """Rates that the study says: they are for its optimiser."""
        tried = dict.fromkeys(rate, DEFAULT_TRIED[self._optimizer])
        return Rates(by, rate, tried, optimizer=self._optimizer)

    @property
    def _optimizer(self) -> Optimizer:
        return cast(Optimizer, self.optimizer or "sgd")

    def _readouts(self) -> tuple[dict[str, Readout], tuple[str, ...]]:
        """The study's own readouts, and the names of all that it asks for."""
        own: dict[str, Readout] = {}
        names = []
        for one in arguments.listed("readouts", "['ema', Readout('mirrored', ...)]", self.readouts):
            if not isinstance(one, Readout):
                names.append(arguments.text("readouts: the name of a readout", one))
                continue
            check_readout(one)
            if one.name in own:
                raise UsageError(f"two readouts are called {one.name!r}: rename one")
            own[one.name] = one
        return own, chosen_readouts([*names, *own], READOUTS | own)

    def _datasets(self) -> dict[str, Any]:
        if self.data is None:
            return dict(built_in().datasets)
        given = list(self.data) if isinstance(self.data, list | tuple) else [self.data]
        if not given:
            raise UsageError("data is a data set, or a list of them, and this list is empty")
        found: dict[str, Any] = {}
        for one in given:
            dataset = one
            if isinstance(one, str):
                known = built_in().datasets
                if one not in known:
                    raise UsageError(f"no built-in data set is called {one!r}: {near_matches(one, known)}")
                dataset = known[one]
            if not callable(getattr(dataset, "load", None)):
                raise UsageError(
                    "data comes from a source, as image_folder('pictures', size=32) or from_arrays(...), or is the "
                    f"name of a built-in data set, not {type(one).__name__}"
                )
            if dataset.name in found:
                raise UsageError(f"two data sets are called {dataset.name!r}: name one")
            found[dataset.name] = dataset
        return found


def _with_presets(factor: Factor, architectures: Sequence[Architecture]) -> Factor:
    """The harness's factor with a level for each builder's default, as a dropout of 0.25."""
    levels = list(factor.levels)
    if factor.changes_network:
        for one in architectures:
            default = one.keywords.get(factor.name, factor.off)
            if isinstance(default, bool | int | float | str) and default not in levels:
                levels.append(default)
    if len(levels) == len(factor.levels):
        return factor
    return factor.with_levels(sorted(levels) if all(isinstance(one, int | float) for one in levels) else levels)


def _caller() -> FrameType:
    """Where a study is made: the innermost frame of a file that isn't this one."""
    frame = sys._getframe(1)
    ours = (__file__, dataclasses.__file__)
    while frame.f_back is not None and (frame.f_code.co_filename in ours or _is_generated(frame)):
        frame = frame.f_back
    return frame


def _is_generated(frame: FrameType) -> bool:
    """Whether it is a dataclass's own `__init__`, and not what a user types at a prompt."""
    return frame.f_code.co_filename == "<string>" and frame.f_code.co_name == "__init__"
