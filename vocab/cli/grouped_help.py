"""`GroupedCommand`: a command whose help lists its options in groups, those that most people need first."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand

# Groups that several commands have; an option without a group is among those needed most.
CHOOSING, PROOF, SUPERWORDS, READING = "Choosing tokens", "Proof", "Superwords", "Reading text"
OPTIMISER, COMPUTING, LOOKING = "Optimiser", "Speed and memory", "Looking and saving"


class GroupedCommand(TyperCommand):
    """A command whose help has a section for each group of options, in the order in which they first occur."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, the options without a group, and then each group."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            own = "Arguments" if isinstance(parameter, TyperArgument) else "Options"
            if record := parameter.get_help_record(ctx):
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or own, []).append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
