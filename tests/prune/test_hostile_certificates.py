"""Certificates from anybody: what is damaged, too large or of other types is rejected in one sentence."""

import hashlib
import itertools
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.cli import fails, run
from hypothesis import given
from hypothesis import strategies as st

from vocab.prune import check_certificate
from vocab.prune.check_certificate import RejectedError, check

COUNTS = "61626162 3\n616261 2\n"
STATES = "".join(f"{k:02x} always\n" for k in range(256)) + "6162 kept\n6261 dropped\n"
PRICES = "61626162 0:2:3 1:3:1 2:4:1\n"
# Three times "abab" costs 10 on each path and twice "aba" costs 4; the larger sum of prices, that of "ab", is 4.
# Without "ab" the sum of "ba", 1, would take its place, and the bound would be 13.
CLAIMS = {
    "format": "vocab-certificate",
    "version": 1,
    "inference": "merges",
    "n_candidates": 258,
    "n_keep": 257,
    "n_always_kept": 256,
    "tokens": 10,
    "bound_tokens": 10,
    "bound_numerator": 10,
    "unit": 1,
    "gap": 0.0,
    "n_in_every": 1,
    "n_in_none": 1,
}


def members(header: object = None, counts=COUNTS, states=STATES, prices=PRICES, **claims: object) -> dict[str, bytes]:
    texts = {"counts": counts, "candidates": states, "prices": prices}
    digests = {f"{name}_sha256": hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    made = {name: value for name, value in {**CLAIMS, **digests, **claims}.items() if value is not None}
    header = json.dumps(made) if header is None else header
    return {"header.json": header.encode()} | {f"{name}.txt": text.encode() for name, text in texts.items()}


def zipped(path: Path, content: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return path


def test_the_certificate_that_the_others_are_made_from_holds(tmp_path):
    path = zipped(tmp_path / "c.zip", members())
    claims = check(str(path))
    assert {name: claims[name] for name in CLAIMS} == CLAIMS


@pytest.mark.parametrize("claim", check_certificate.INTEGERS)
@pytest.mark.parametrize("value", [None, "300", 1.0, True, [1], {}, 1 << 63])
def test_claims_are_integers_and_all_there(tmp_path, claim, value):
    path = zipped(tmp_path / "c.zip", members(**{claim: value}))
    with pytest.raises(RejectedError, match=f"the claim {claim} is missing or no integer of 64 bits"):
        check(str(path))


def test_a_bound_that_only_rounding_proves_is_rejected(tmp_path):
    """2^53 + 3 tokens, and a bound one above them: a float cannot tell them apart."""
    n = 2**53 + 3
    rounded = members(counts=f"61 {n}\n", prices="", n_keep=258, unit=1.0, bound_numerator=float(n + 1), tokens=n)
    with pytest.raises(RejectedError, match="bound_numerator is missing or no integer"):
        check(str(zipped(tmp_path / "c.zip", rounded)))
    whole = members(counts=f"61 {n}\n", prices="", bound_numerator=n + 1, bound_tokens=n + 1, tokens=n)
    with pytest.raises(RejectedError, match="do not prove the bound"):
        check(str(zipped(tmp_path / "c.zip", whole)))


FAULTS = {
    "deep": (members(header="[" * 60_000), "is no certificate"),
    "header too large": (members(header=" " * 70_000), "header.json has 70,000 bytes, more than the 65,536"),
    "not JSON": (members(header="{"), "is no certificate"),
    "a list": (members(header="[]"), "holds no object"),
    "twice in the header": (members(header='{"unit": 1, "unit": 2}'), "a name is there twice"),
    "not a number": (members(gap=float("nan")), "the gap is not as claimed"),
    "an integer as gap": (members(gap=0), "gap is missing or no decimal number"),
    "another method": (members(inference="\x1b[31mgreed"), r"inference method \\x1b\[31mgreed is not known"),
    "no digest": (members(counts_sha256=None), "counts_sha256 is missing or no text"),
    "another version": (members(version=2), "the format is not known"),
    "a unit of 0": (members(unit=0), "the unit of prices is below 1"),
    "a count below 0": (members(counts="61 -1\n"), "line 1 of counts.txt cannot be read"),
    "a count with a sign": (members(counts="61 +1\n"), "line 1 of counts.txt cannot be read"),
    "a count of other digits": (members(counts="61 ١\n"), "line 1 of counts.txt cannot be read"),
    "a count of 20 digits": (members(counts=f"61 {10**19}\n"), "line 1 of counts.txt cannot be read"),
    "a long pre-token": (members(counts=COUNTS + "6 1\n"), "line 3 of counts.txt cannot be read"),
    "other line ends": (members(counts="61 1\r\n"), "line 1 of counts.txt cannot be read"),
    "no line end": (members(counts="61 1"), "counts.txt does not end with a line end"),
    "another state": (members(states=STATES.replace("kept", "KEPT")), "line 257 of candidates.txt cannot be read"),
    "a candidate twice": (members(states=STATES + "6162 kept\n"), "a line is there twice"),
    "no byte": (
        members(states=STATES.replace("61 always\n", "")),
        "a single byte of the text or of a candidate is not always kept",
    ),
    "a price outside": (members(prices="61626162 0:5:3\n"), "a price stands on no candidate"),
    "a price of an empty place": (members(prices="61626162 1:1:3\n"), "a price stands on no candidate"),
    "a price on a byte": (members(prices="61626162 0:1:3\n"), "a price stands on a token that is always kept"),
    "a price elsewhere": (members(prices="63 0:1:3\n"), "a segment that the corpus does not have"),
    "a price twice": (members(prices="61626162 0:2:3 0:2:1\n"), "a price is there twice"),
    "a long token": (
        members(n_candidates=259, states=STATES + "61" * 30_000 + " dropped\n"),
        "beginnings have 450,0[0-9,]+ bytes",
    ),
    "a member more": (members() | {"more.txt": b""}, "does not hold four members"),
    "a member less": ({k: v for k, v in members().items() if k != "prices.txt"}, "does not hold four members"),
    "another member": ({k.replace("prices", "price"): v for k, v in members().items()}, "it holds other members"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_sentence(tmp_path, fault):
    content, sentence = FAULTS[fault]
    with pytest.raises(RejectedError, match=sentence):
        check(str(zipped(tmp_path / "c.zip", content)))


def test_a_member_twice_is_rejected(tmp_path):
    raw = zipped(tmp_path / "c.zip", members()).read_bytes()
    (tmp_path / "c.zip").write_bytes(raw.replace(b"prices.txt", b"counts.txt"))
    with pytest.raises(RejectedError, match="it holds other members"):
        check(str(tmp_path / "c.zip"))


def test_other_packings_and_encryption_are_rejected(tmp_path):
    with pytest.raises(RejectedError, match="packed in an unknown way"):
        check(str(zipped(tmp_path / "c.zip", members(), zipfile.ZIP_LZMA)))
    raw = bytearray(zipped(tmp_path / "c.zip", members(), zipfile.ZIP_STORED).read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "c.zip").write_bytes(raw)
    with pytest.raises(RejectedError, match="encrypted"):
        check(str(tmp_path / "c.zip"))


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(check_certificate, "MIN_EXPANDED_BYTES", 1 << 20)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    bomb = zipped(tmp_path / "c.zip", {**members(), "counts.txt": bytes(1 << 21)})
    entry = zipfile.ZipFile(bomb).getinfo("counts.txt")
    with zipfile.ZipFile(bomb) as archive, pytest.raises(RejectedError, match="unpacks to more than 64 times its size"):
        check_certificate.member(archive, entry)
    entry.file_size = check_certificate.MAX_TEXT_BYTES + 1
    with zipfile.ZipFile(bomb) as archive, pytest.raises(RejectedError, match="more than the 1,073,741,824 that are"):
        check_certificate.member(archive, entry)


def test_a_zip_file_of_a_longer_directory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("read"))
    (tmp_path / "long.zip").write_bytes(b"PK\5\6" + bytes(6) + b"\4\0" + b"\0\0\2\0" + bytes(6))
    (tmp_path / "64.zip").write_bytes(b"PK\6\7" + bytes(16) + b"PK\5\6" + bytes(6) + b"\4\0" + bytes(10))
    (tmp_path / "text.zip").write_bytes(b"text" * 20)
    for name in ("long.zip", "64.zip", "text.zip"):
        with pytest.raises(RejectedError, match=r"is no certificate: it is not a zip file|does not hold four members"):
            check(str(tmp_path / name))


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"certificate": 1, "certificate": 2}', "\xff", '{"rows": []}'])
def test_a_report_that_is_none(tmp_path, text):
    path = zipped(tmp_path / "c.zip", members())
    (tmp_path / "report.json").write_text(text, encoding="latin-1")
    with pytest.raises(RejectedError, match=r"is no report with a certificate|a name is there twice"):
        check(str(path), str(tmp_path / "report.json"))


def test_a_report_with_other_types_is_another_one(tmp_path):
    path = zipped(tmp_path / "c.zip", members())
    stated = json.loads(members()["header.json"])
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"certificate": stated}))
    assert check(str(path), str(report)) == stated
    report.write_text(json.dumps({"certificate": {**stated, "unit": True}}))
    with pytest.raises(RejectedError, match="another corpus or vocabulary"):
        check(str(path), str(report))


def test_a_large_report_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(check_certificate, "MAX_REPORT_BYTES", 100)
    (tmp_path / "report.json").write_bytes(b" " * 101)
    with pytest.raises(RejectedError, match="has more than the 100 bytes that are read"):
        check_certificate.read_report(str(tmp_path / "report.json"))


def test_the_command_and_the_file_alone_say_one_line(tmp_path):
    zipped(tmp_path / "c.zip", members(header="[" * 60_000))
    assert "is rejected: c.zip is no certificate" in fails(tmp_path, "check", "c.zip")
    alone = [sys.executable, "-I", "-S", check_certificate.__file__, "c.zip"]
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith("rejected: ")


def n_merged(pretoken: bytes, ranks: dict[bytes, int]) -> int:
    return check_certificate.count_tokens("merges", list(ranks), {}, {pretoken: 1}, {})


def n_merged_slowly(pretoken: bytes, ranks: dict[bytes, int]) -> int:
    """The lowest rank first, of two the left one, searched for anew each time."""
    parts = [pretoken[i : i + 1] for i in range(len(pretoken))]
    while pretoken not in ranks:
        pairs = [(ranks[a + b], i) for i, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in ranks]
        if not pairs:
            return len(parts)
        i = min(pairs)[1]
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return 1


@given(
    st.lists(st.text("ab", min_size=2, max_size=5), unique=True, max_size=12), st.text("abc", min_size=1, max_size=20)
)
def test_merges_are_those_of_a_slow_search(tokens, text):
    ranks = {token: k for k, token in enumerate([b"a", b"b", b"c", *map(str.encode, tokens)])}
    assert n_merged(text.encode(), ranks) == n_merged_slowly(text.encode(), ranks)


def test_a_pretoken_of_megabytes_is_merged_in_time():
    ranks = {b"a": 0, b"aa": 1, b"aaaa": 2}
    assert n_merged(b"a" * 100_001, ranks) == 25_001


def test_a_folder_stands_for_the_certificate_in_it(tmp_path):
    (tmp_path / "result").mkdir()
    assert "certificate.zip is not there: make one with vocab prune --certify" in fails(tmp_path, "check", "result")
    zipped(tmp_path / "result/certificate.zip", members())
    whole, named = (run("check", name, where=tmp_path) for name in ("result", "result/certificate.zip"))
    assert (whole.returncode, whole.stdout, whole.stderr) == (named.returncode, named.stdout, named.stderr)
    assert whole.returncode == 0, whole.stderr
