"""The commands and Python blocks of the pages for newcomers run as printed, one after the other."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cli import run

DOCS = Path(__file__).parents[1] / "docs"
# Each page with the number of its steps, and what they leave in the folder.
PAGES = {
    "first-steps": (10, {"my-8k", "my-8k-least", "my-8k-proved", "my-counts", "my-16k"}),
    "which-size": (6, {"curve.json", "my-4k", "my-8k", "comparison"}),
    "certify": (5, {"proved", "optimal"}),
    "shrink-a-model": (9, {"small", "MODEL-small", "healed", "small.gguf"}),
}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DOCS.is_dir(), reason="not in a source tree")]


def steps_of(page: str) -> list[tuple[str, str]]:
    """The commands and the blocks of Python of a page, in its order; of each step one of the two is empty."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    return re.findall(r"^    (vocab [^\n]*)$|^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def make_model(folder: Path) -> None:
    """A small Llama with a tokenizer of 3,000 ids, which stands for the reader's model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    assert run("prune", "my-texts", "--target", "3000", "--out", folder, where=folder.parent).returncode == 0
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=3000, tie_word_embeddings=False, max_position_embeddings=1024, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.mark.parametrize("page", PAGES)
def test_every_step_runs_as_printed(page, tmp_path, real_text):
    (tmp_path / "my-texts").mkdir()
    for k in range(40):
        (tmp_path / "my-texts" / f"{k}.txt").write_text(real_text[k * 15_000 : (k + 1) * 15_000], encoding="utf-8")
    steps, (n_steps, left) = steps_of(page), PAGES[page]
    assert len(steps) >= n_steps
    if page == "shrink-a-model":
        make_model(tmp_path / "MODEL")
    for command, code in steps:
        if command:
            done = run(*shlex.split(command)[1:], where=tmp_path)
            assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
        else:
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert {path.name for path in tmp_path.iterdir()} >= left
