"""A command with commands of its own, and a study that may stand where one of these would."""

import typer
from typer.core import TyperGroup


class WithStudy(TyperGroup):
    """`bench check my_study.py`: the study becomes the context's object. It stands first, or last without a command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # its own context
        """Takes the study out of the words, and hands on the others."""
        from bench.studies.load import looks_like_study

        for at in {0, len(args) - 1} if args else ():
            named = not set(args[:at]) & set(self.commands) and _stands_alone(args, at) and looks_like_study(args[at])
            if named:
                ctx.obj = args[at]
                args = [*args[:at], *args[at + 1 :]]
                break
        return super().parse_args(ctx, args)


def _stands_alone(args: list[str], at: int) -> bool:
    """Whether a word is no option, and no option's value."""
    before = args[at - 1] if at > 0 else ""
    return not args[at].startswith("-") and (not before.startswith("-") or before in {"--strict", "--update"})
