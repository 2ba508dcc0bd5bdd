"""The notebooks run from top to bottom, hold no output in the repository, and use the public API."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
NEEDS = {"03": "mistral_common", "04": "torch", "05": "torch", "06": "torch"}


def code_of(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_there_are_six():
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_output_and_nothing_private(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert not re.search(r"from vocab\S* import _|vocab\.\w+\._", code_of(path))
    assert "plt.show()" in code_of(path) or path.name.startswith("03")


@pytest.fixture(scope="module")
def kernel():
    """One process for all: torch and compiled kernels are loaded once."""
    manager = pytest.importorskip("jupyter_client").KernelManager()
    manager.start_kernel()
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, kernel, tmp_path):
    if needed := NEEDS.get(path.name[:2]):
        pytest.importorskip(needed)
    notebook = nbformat.read(path, as_version=4)
    # As in a new process: no name of an earlier notebook, and a folder of its own.
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"%reset -f\nimport os\nos.chdir({str(tmp_path)!r})\ndel os"))
    nbclient.NotebookClient(notebook, timeout=600, km=kernel).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(output.output_type in ("stream", "execute_result") for output in outputs)
    assert not [o for o in outputs if o.output_type == "stream" and o.name == "stderr" and "Error" in o.text]
    if not path.name.startswith("03"):
        assert any("image/png" in output.get("data", {}) for output in outputs), "no figure"
