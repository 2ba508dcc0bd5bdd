"""Files that an option names: one that is there is replaced only with --force."""

from __future__ import annotations

from typing import Annotated

import typer

ReplaceOption = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]
