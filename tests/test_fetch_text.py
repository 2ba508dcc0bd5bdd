"""`scripts/fetch_text.py`: downloads are tried again, and all that fail are named."""

import gzip
import hashlib
import io
import json
import sqlite3
import subprocess
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="not in a source tree")
TEXT = b"One line of some text that is kept.\n" * 40


@pytest.fixture
def scripts(monkeypatch):
    """The modules of the scripts, with a registry that fails as often as `failures` says by package."""
    pytest.importorskip("zstandard")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import fetch_text
    import text_sources

    monkeypatch.setattr(text_sources, "PAUSES", (0, 0, 0))
    failures, asked = {}, []

    def run(command, folder):
        asked.append(command)
        package = command[-1].split("=")[0]
        fails = failures.get(package, 0) > 0
        failures[package] = failures.get(package, 0) - 1
        if not fails and command != ["apt-get", "update"]:
            Path(folder, f"{package}-1.zip").write_bytes(archive())
        return subprocess.CompletedProcess(command, int(fails), "", f"no {package}")

    monkeypatch.setattr(text_sources, "_run", run)
    text_sources._refresh_debian_lists.cache_clear()
    yield Namespace(fetch=fetch_text, sources=text_sources, failures=failures, asked=asked)
    for name in ("fetch_text", "text_sources", "text_extract", "text_filter"):
        sys.modules.pop(name, None)


def archive():
    """A wheel with one document, of the same bytes each time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(zipfile.ZipInfo("p/a.txt"), TEXT)
    return stream.getvalue()


def build(scripts, tmp_path, packages, *more):
    digest = hashlib.sha256(archive()).hexdigest()
    (tmp_path / "sources.toml").write_text(
        "".join(
            f'[[source]]\nregistry = "{registry}"\npackage = "{package}"\nversion = "1"\nsha256 = "{digest}"\n'
            'licence = "MIT"\nlicence_file = "LICENSE"\n'
            '[[source.rules]]\ninclude = ["**/*.txt"]\ndomain = "text"\n'
            for registry, package in packages
        )
    )
    options = ["--out", tmp_path / "out", "--cache", tmp_path / "cache", "--sources", tmp_path / "sources.toml"]
    scripts.fetch.build(scripts.fetch.parse([*map(str, options), "--min-kb-per-domain", "0", *more]))
    return json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["domains"]


def test_a_download_is_tried_again_whatever_python_the_package_asks_for(scripts, tmp_path):
    scripts.failures["a"] = 2
    assert build(scripts, tmp_path, [("pypi", "a")])["text"]["documents"] == 1
    assert len(scripts.asked) == 3
    assert all("--ignore-requires-python" in command for command in scripts.asked)


def test_all_that_fail_are_named_and_nothing_is_written(scripts, tmp_path):
    scripts.failures.update(a=9, c=9)
    packages = [("pypi", "a"), ("pypi", "b"), ("pypi", "c")]
    with pytest.raises(scripts.sources.SourceError, match=r"(?s)pypi:a 1.*no a.*pypi:c 1.*no c\n2 packages failed"):
        build(scripts, tmp_path, packages)
    assert not (tmp_path / "out").exists()
    domains = build(scripts, tmp_path, packages, "--without-failed")
    assert [row["package"] for row in domains["text"]["sources"]] == ["b"]


def test_lists_of_debian_are_brought_up_to_date_once(scripts, tmp_path):
    scripts.failures.update(a=1, b=1)
    found = [scripts.sources.Source("debian", name, "1", "", "", "", ()) for name in "ab"]
    for source in found:
        scripts.sources._download(source, tmp_path / source.package, update=False)
    assert scripts.asked.count(["apt-get", "update"]) == 1


def test_another_archive_than_the_pinned_one_is_refused(scripts, tmp_path):
    source = scripts.sources.Source("pypi", "a", "1", "0" * 64, "MIT", "", ())
    with pytest.raises(scripts.sources.SourceError, match="pinned is 0000"):
        scripts.sources.obtain(source, tmp_path)


PAGE = rb""".\" A comment
.TH CAT 1
.SH NAME
cat \- concatenate \fIfiles\fR
.Pp
.Op Fl n
.Nm cat
is short.
"""


def test_the_words_of_a_manual_page(scripts):
    [(_, text)] = scripts.fetch.extract("manual", gzip.compress(PAGE), "utf-8")
    assert text.split("\n")[1:] == ["NAME", "cat - concatenate files", "n", "cat", "is short.", ""]


def test_the_longer_texts_of_a_database(scripts):
    with sqlite3.connect(":memory:") as database:
        database.execute("create table term (id integer, name text, definition text)")
        database.execute("insert into term values (1, 'short', ?)", ["A definition that is long enough to be text."])
        content = database.serialize()
    parts = list(scripts.fetch.extract("sqlite-texts", content, "utf-8"))
    assert parts == [("term:0", "A definition that is long enough to be text.")]
