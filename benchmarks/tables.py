"""Tables of results, and facts about the machine; needs none of the packages that kernels and files need."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from vocab.environment import processor, versions
from vocab.threads import n_cores

_WIDTH = 110  # for output into a file
_PEERS = ("rustbpe", "bpeasy", "gigabpe", "bpe-openai", "rs-bpe")


def machine(*packages: str) -> dict[str, object]:
    """What timings depend on: processor, cores, load, system and versions, those of `packages` too."""
    return {
        "cpu": processor(),
        "cores": n_cores(),
        "load_1_minute": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(*_PEERS, *packages),
    }


def show(title: str, columns: list[str], rows: list[list[str]], facts: Mapping[str, object]) -> None:
    """Print a table, its first column to the left, and the machine below it."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)
    console.print(machine_line(facts))


def machine_line(facts: Mapping[str, Any]) -> str:
    """The result of `machine` as a sentence. Rows measured before name packages that were not installed."""
    known = {name: version for name, version in facts["versions"].items() if version != "not installed"}
    listed = ", ".join(f"{name} {version}" for name, version in known.items())
    load = f"load {facts['load_1_minute']} before the run"
    return f"{facts['cpu']}, {facts['cores']} cores, {load}, {facts['system']}; {listed}."
