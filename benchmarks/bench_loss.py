"""From 20 MB of English text to a trained `micro`, by the commands that a user would type; prints time, speed and loss.

1. Documents of English domains of CORPUS (build_corpus.py), one of each in turn, 18 MB to train on and 2 MB held out.
2. `vocab prune`: cl100k_base to `--ids` ids on that text.
3. `vocab train --preset micro` with its defaults on most of it. Timed, encoding and evaluation included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from common import mixed_texts, timed, up_to, write_json
from tables import machine, show

TRAIN_BYTES, HELD_OUT_BYTES = 18_000_000, 2_000_000
VOCAB = [sys.executable, "-c", "from vocab.cli.app import main; main()"]


def write_text(corpus: Path, path: Path) -> int:
    """Write the documents as JSON lines; returns their bytes of text."""
    n_bytes = 0
    with path.open("w", encoding="utf-8") as stream:
        for held_out, wanted in ((False, TRAIN_BYTES), (True, HELD_OUT_BYTES)):
            for text in up_to(mixed_texts(corpus, "English", held_out=held_out), wanted):
                n_bytes += len(text.encode())
                stream.write(json.dumps({"text": text}) + "\n")
    return n_bytes


def main() -> None:
    """Make text and vocabulary, train, show, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for text, vocabulary and run")
    parser.add_argument("--ids", type=int, default=4096)
    parser.add_argument("--epochs", type=float, default=0.7, help="share of the text trained on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    text, vocabulary, run = given.work / "english.jsonl", given.work / "vocabulary", given.work / "run"
    n_bytes = write_text(given.corpus, text)
    small = ["prune", "--target", str(given.ids), "--corpus", str(text), "--out", str(vocabulary), "--force"]
    subprocess.run([*VOCAB, *small], check=True)
    train = ["train", "--vocab", str(vocabulary), "--corpus", str(text), "--preset", "micro"]
    options = ["--epochs", str(given.epochs), "--threads", str(given.threads), "--out", str(run), "--force"]
    seconds = timed(lambda: subprocess.run([*VOCAB, *train, *options], check=True)).seconds
    report = json.loads((run / "report.json").read_text("utf-8"))
    facts = machine("torch")
    rows = [
        ["MB of text", f"{n_bytes / 1e6:.1f}"],
        ["held-out bits per byte", f"{report['held_out']['bits_per_byte']:.4f}"],
        ["seconds of `vocab train`", f"{seconds:.0f}"],
        ["tokens/s", f"{report['throughput']['tokens_per_second']:,.0f}"],
    ]
    show(f"micro at {given.ids} ids", ["", ""], rows, facts)
    write_json(given.json, {"machine": facts, "n_bytes": n_bytes, "seconds": seconds, "report": report})


if __name__ == "__main__":
    main()
