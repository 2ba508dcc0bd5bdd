"""`optimal`, `--certify`, `vocab bound` and `vocab check`: certificates hold, and altered ones do not."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.cli import run

import vocab
from vocab.errors import CertificateError, TargetError
from vocab.prune import Limits, best_possible, check_certificate, prune
from vocab.prune.check_certificate import RejectedError
from vocab.vocabulary import Vocabulary

TARGET = 1000
KEEP = [b" return", b"self"]
QUICK = Limits(max_steps=60)
KINDS = [("optimal", "least-tokens"), ("distill", "merges"), ("rank", "longest-prefix")]


@pytest.fixture(scope="module")
def source(cl100k) -> Vocabulary:
    return Vocabulary.from_tokens(list(cl100k.tokens())[:3000], cl100k.pattern, {"<|endoftext|>": 3000})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, source, real_text) -> Path:
    """A source and two corpora as files."""
    made = tmp_path_factory.mktemp("optimal")
    source.save(made / "source")
    (made / "text.txt").write_text(real_text[:150_000], encoding="utf-8")
    (made / "other.txt").write_text(real_text[150_000:250_000], encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def results(source, folder) -> dict[tuple[str, str], Path]:
    """Saved results of some kinds, each with a certificate."""
    corpus = vocab.count(folder / "text.txt", source.pattern)
    for method, inference in KINDS:
        result = prune(
            source,
            TARGET,
            corpus=corpus,
            method=method,
            inference=inference,
            keep=KEEP,
            certify=True,
            limits=QUICK,
            n_threads=2,
        )
        result.save(folder / method)
    return {kind: folder / kind[0] for kind in KINDS}


@pytest.fixture(params=KINDS, ids="-".join)
def saved(request, results) -> Path:
    return results[request.param]


def texts_of(certificate: Path) -> dict[str, str]:
    with zipfile.ZipFile(certificate) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def written(texts: dict[str, str], path: Path, *, with_digests: bool) -> str:
    """A certificate of these texts, whose digests fit if asked for."""
    texts = dict(texts)
    if with_digests:
        header = json.loads(texts["header.json"])
        for name in ("counts", "candidates", "prices"):
            header[f"{name}_sha256"] = hashlib.sha256(texts[f"{name}.txt"].encode()).hexdigest()
        texts["header.json"] = json.dumps(header)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return str(path)


def test_certificates_hold(saved):
    certificate, report = saved / "certificate.zip", saved / "report.json"
    claims = check_certificate.check(str(certificate), str(report))
    stored = json.loads(report.read_text())
    assert claims == stored["certificate"]
    assert claims["n_keep"] == stored["n_ordinary"] == TARGET - 1
    assert claims["n_always_kept"] == 256 + len(KEEP)
    assert claims["tokens"] == stored["rows"][1]["train"]["n_tokens"]
    assert claims["bound_tokens"] <= claims["tokens"]
    assert 0 <= claims["n_in_none"] <= claims["n_candidates"] - claims["n_keep"]
    n_in = claims["n_always_kept"] + claims["n_in_every"]
    assert f"{n_in} of the 999 tokens are in every choice" in (saved / "README.md").read_text(encoding="utf-8")
    assert "above the best possible 999 tokens" in (saved / "README.md").read_text(encoding="utf-8")


def test_the_checker_needs_nothing_but_python(results):
    saved = results["distill", "merges"]
    command = [sys.executable, "-I", "-S", check_certificate.__file__, saved / "certificate.zip", saved / "report.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("proven: ")


def test_the_bound_is_one_for_all_methods_and_optimal_is_nearest(results):
    claims = {kind: json.loads((path / "report.json").read_text())["certificate"] for kind, path in results.items()}
    assert len({c["bound_numerator"] for c in claims.values()}) == 1
    assert len({c["prices_sha256"] for c in claims.values()}) == 1
    gaps = [claims[kind]["gap"] for kind in KINDS]
    assert gaps[0] < 0.005
    assert gaps[0] == min(gaps)


def altered_line(text: str, change) -> str:
    lines = text.splitlines(keepends=True)
    k = len(lines) // 2
    lines[k] = change(lines[k])
    return "".join(lines)


def first_price(change):
    def altered(line: str) -> str:
        segment, place, *others = line.split()
        start, end, price = map(int, place.split(":"))
        return " ".join([segment, f"{start}:{end}:{change(price)}", *others]) + "\n"

    return altered


def swap_states(text: str) -> str:
    """One kept token dropped and another one kept."""
    lines = text.splitlines(keepends=True)
    kept = next(k for k, line in enumerate(lines) if " kept" in line)
    dropped = next(k for k, line in enumerate(lines) if " dropped" in line)
    lines[kept] = lines[kept].replace("kept", "dropped")
    lines[dropped] = lines[dropped].replace("dropped", "kept")
    return "".join(lines)


ALTERATIONS = {
    "a price more": ("prices.txt", lambda text: altered_line(text, first_price(lambda price: price + 1))),
    "a price less": ("prices.txt", lambda text: altered_line(text, first_price(lambda price: price - 1))),
    "a price below 0": ("prices.txt", lambda text: altered_line(text, first_price(lambda price: -price))),
    "no price": ("prices.txt", lambda text: altered_line(text, lambda line: "")),
    "a price twice": ("prices.txt", lambda text: altered_line(text, lambda line: line + line)),
    "a count": ("counts.txt", lambda text: altered_line(text, lambda s: f"{s.split()[0]} {int(s.split()[1]) + 1}\n")),
    "no pre-token": ("counts.txt", lambda text: altered_line(text, lambda line: "")),
    "a kept token": ("candidates.txt", swap_states),
    "a token more": ("candidates.txt", lambda text: text.replace(" dropped", " kept", 1)),
    "always kept": ("candidates.txt", lambda text: text.replace(" kept", " always", 1)),
    "no line": ("candidates.txt", lambda text: "\n"),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_certificate_is_rejected(results, tmp_path, name):
    for kind in KINDS[:2]:
        saved = results[kind]
        texts = texts_of(saved / "certificate.zip")
        member, change = ALTERATIONS[name]
        changed = {**texts, member: change(texts[member])}
        assert changed != texts
        stale = written(changed, tmp_path / "stale.zip", with_digests=False)
        fresh = written(changed, tmp_path / "fresh.zip", with_digests=True)
        for path, report in ((stale, None), (fresh, str(saved / "report.json"))):
            with pytest.raises(RejectedError):
                check_certificate.check(path, report)


@pytest.mark.parametrize(
    "claim", ["tokens", "bound_tokens", "bound_numerator", "unit", "n_keep", "gap", "n_in_every", "n_in_none"]
)
@pytest.mark.parametrize("change", [-1, 1])
def test_an_altered_claim_is_rejected(results, tmp_path, claim, change):
    texts = texts_of(results["optimal", "least-tokens"] / "certificate.zip")
    header = json.loads(texts["header.json"])
    header[claim] += change
    path = written({**texts, "header.json": json.dumps(header)}, tmp_path / "c.zip", with_digests=False)
    with pytest.raises(RejectedError):
        check_certificate.check(path)


@pytest.mark.slow
def test_commands(folder, tmp_path):
    common = ("--source", folder / "source", "--target", TARGET)
    done = run("bound", *common, "--corpus", folder / "text.txt", "--certificate", "c.zip", "--gap", 1, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "above the best possible 999 tokens" in " ".join(done.stdout.split())
    claims = check_certificate.check(str(tmp_path / "c.zip"))
    shown = run("inspect", folder / "source", "--certificate", "c.zip", "--json", where=tmp_path)
    record = json.loads(shown.stdout)
    assert {name: record[name] for name in check_certificate.SETTLED} == {
        name: claims[name] for name in check_certificate.SETTLED
    }
    assert record["n_open"] == claims["n_keep"] - claims["n_always_kept"] - claims["n_in_every"]
    assert run("inspect", folder / "source", "--certificate", "text.txt", where=tmp_path).returncode == 2
    run("prune", "--source", folder / "source", "--target", 700, "--method", "rank", "--out", "other", where=tmp_path)
    assert "c.zip is of another vocabulary" in run("inspect", "other", "--certificate", "c.zip", where=tmp_path).stderr
    checked = run("check", "c.zip", where=tmp_path)
    assert (checked.returncode, checked.stdout[:8]) == (0, "Proven: ")
    options = ("--corpus", folder / "other.txt", "--certify", "--gap", 1, "--out", "made")
    done = run("prune", *common, *options, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "above the best possible 999 tokens" in " ".join(done.stdout.split())
    assert run("check", "made/certificate.zip", "--report", "made/report.json", where=tmp_path).returncode == 0
    other = run("check", "c.zip", "--report", "made/report.json", where=tmp_path)
    assert other.returncode == 2
    assert "another corpus or vocabulary" in other.stderr
    assert len(other.stderr.splitlines()) == 1
    small = run("bound", "--source", folder / "source", "--target", 200, where=tmp_path)
    assert small.returncode == 2
    assert "always stay" in small.stderr
    assert run("check", "made/report.json", where=tmp_path).returncode == 2


def test_what_cannot_be_certified_is_refused(source):
    with pytest.raises(TargetError, match="cannot be certified"):
        prune(source, TARGET, inference="ungreedy", certify=True)
    assert issubclass(CertificateError, vocab.VocabError)


def test_weights_and_prior_are_part_of_what_is_certified(source, folder, tmp_path):
    import dataclasses

    corpus = vocab.count([folder / "text.txt", folder / "other.txt"], source.pattern)
    parts = (dataclasses.replace(corpus.parts[0], weight=3), corpus.parts[1])
    weighted = dataclasses.replace(corpus, parts=parts, prior=0.1)
    proof = best_possible(source, TARGET, corpus=weighted, limits=QUICK)
    assert "by weight" in proof.claims["objective"]
    assert "256-fold" in proof.claims["objective"]
    (tmp_path / "c.zip").write_bytes(proof.as_zip())
    assert check_certificate.check(str(tmp_path / "c.zip"))["tokens"] == proof.tokens
