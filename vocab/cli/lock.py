"""`vocab lock`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.cli.screen import console, progress, say, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    from vocab.interop import GoldenIds, LockCheck


def lock(
    directory: Annotated[Path, typer.Argument(help="Folder of a tokenizer, made here or elsewhere, or a GGUF file.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "--out", "-o", help="File of the lock. Default: FOLDER.vocab-lock.json, next to the folder."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare with the lock, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the lock.")] = False,
) -> Result:
    """Keep the ids that every installed runtime gives for hostile texts, so that an upgrade cannot change them unseen.

    The lock holds some 150 texts and each runtime's ids by its default call: vocab, tiktoken, tokenizers,
    transformers (AutoTokenizer), sentencepiece, mistral-common and llama.cpp, with their versions. With --check the
    exit code is 1 where a runtime gives other ids, and the text, the runtime and both ids are shown.

    The pytest plugin of this package checks every file NAME.vocab-lock.json among your tests in the same way.
    """
    from vocab import interop
    from vocab.interop.golden.golden_file import default_path

    path = default_path(directory) if file is None else file
    with progress() as bar:
        bar.add_task("encode in every runtime", total=None, rate="")
        done = interop.check_lock(path, directory) if check else interop.lock(directory, path, force=force)
    if isinstance(done, interop.LockCheck):
        _show_check(done)
        return Result(_record(done), exit_code=0 if done.agrees else 1)
    _show_lock(done, path)
    return Result({"file": str(path), "versions": {name: one.versions for name, one in done.runtimes.items()}})


def _record(check: LockCheck) -> dict[str, Any]:
    """What a check found, as JSON types: of each runtime its versions, and how many texts have other ids."""
    runtimes = {
        name: {"versions": versions, "n_different": len(check.of(name)), "fails": name in check.failed}
        for name, versions in check.found.items()
    }
    return {"agrees": check.agrees, "n_texts": len(check.golden.texts), "runtimes": runtimes}


def _show_lock(golden: GoldenIds, path: Path) -> None:
    from vocab.interop.golden.golden_words import shown_versions

    shown = table(f"Locked in {path.name}", ["runtime", "versions", "texts", "ids"], n_text=2)
    for name, runtime in golden.runtimes.items():
        n_ids = sum(len(answer) for answer in runtime.answers if not isinstance(answer, str))
        shown.add_row(name, shown_versions(runtime.versions), f"{len(runtime.answers):,}", f"{n_ids:,}")
    console().print(shown)
    say(f"Wrote {path} ({path.stat().st_size / 1000:,.0f} kB).")


def _show_check(check: LockCheck) -> None:
    from vocab.interop.golden.golden_words import notes, sentences, shown_versions

    golden = check.golden
    shown = table(f"Checked by {check.path.name}", ["runtime", "now", "locked with", "texts", "differ"], n_text=3)
    for name, versions in check.found.items():
        locked = shown_versions(golden.runtimes[name].versions)
        differ = "fails" if name in check.failed else f"{len(check.of(name)):,}"
        shown.add_row(name, shown_versions(versions), locked, f"{len(golden.texts):,}", differ)
    console().print(shown)
    for name in check.found:
        for sentence in sentences(check, name):
            say(sentence)
    for note in notes(check):
        say(note)
