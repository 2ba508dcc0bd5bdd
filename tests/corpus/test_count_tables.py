"""The public count table: what it holds, sums of many, mixtures, and tables that cannot be trusted."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import oracles
from helpers.strategies import corpora
from hypothesis import given
from hypothesis import strategies as st

from vocab.corpus import merging
from vocab.corpus.count_job import CountJob
from vocab.corpus.count_metadata import CountMetadata
from vocab.corpus.count_table import CountTable, CountTableWriter, read_part
from vocab.corpus.count_to_folder import count_to
from vocab.corpus.counting import CorpusPart, count
from vocab.corpus.merging import merge_count_tables
from vocab.corpus.mixture import mixed, shares
from vocab.corpus.process_memory import parse_bytes
from vocab.corpus.tally import Tally
from vocab.errors import CorpusError, TargetError
from vocab.pretokens.counts import PretokenCounts
from vocab.pretokens.sorted_rows import Rows
from vocab.splitting import CL100K_REGEX, GPT2_REGEX, SplitPattern

PATTERN = SplitPattern(CL100K_REGEX)


@pytest.fixture(scope="module")
def texts(real_text) -> list[str]:
    return [real_text[k : k + 700] for k in range(0, 200_000, 700)] + ["the end", "the end"]


@pytest.fixture(scope="module")
def corpus(texts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for k in range(6):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts[k::6])
        (folder / f"{k}.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="module")
def table(corpus, tmp_path_factory) -> Path:
    return count_to(tmp_path_factory.mktemp("counted") / "all", CountJob([str(corpus)], PATTERN)).path


def facts_of(*rows: tuple[bytes, int], pattern: str = CL100K_REGEX, **metadata: object) -> pa.Table:
    """A count table as somebody else would write it."""
    counts = pa.array([n for _, n in rows], pa.int64())
    columns = {"pretoken": pa.array([p for p, _ in rows], pa.binary()), "count": counts}
    facts = {"format": 1, "split_pattern": pattern} | metadata
    return pa.table(columns).replace_schema_metadata({"vocab.counts": json.dumps(facts)})


def written(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def refusal(path: Path, pattern: SplitPattern = PATTERN) -> str:
    with pytest.raises(CorpusError) as caught:
        read_part(path, pattern)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What it holds


def test_it_is_plain_parquet_in_byte_order(table, corpus, texts):
    found = pq.read_table(table)
    assert found.schema.names == ["pretoken", "count", "documents", "held_out_count", "held_out_documents"]
    assert {str(t) for t in found.schema.types} == {"binary", "uint64"}
    rows = found.to_pylist()
    pretokens = [row["pretoken"] for row in rows]
    assert pretokens == sorted(set(pretokens))
    total = Counter({row["pretoken"]: row["count"] + row["held_out_count"] for row in rows})
    documents = Counter({row["pretoken"]: row["documents"] + row["held_out_documents"] for row in rows})
    assert total == oracles.count(PATTERN, texts)
    assert documents == oracles.count_documents(PATTERN, texts)
    facts = json.loads(pq.ParquetFile(table).metadata.metadata[b"vocab.counts"])
    assert (facts["split_pattern"], facts["split_pattern_sha256"]) == (CL100K_REGEX, PATTERN.sha256)
    assert facts["tally"]["n_documents"] == len(texts)
    assert facts["tally"]["n_bytes_read"] == sum(len(text.encode()) for text in texts)
    assert facts["corpus"] == [
        {"place": str(corpus), "n_files": 6, "n_stored_bytes": sum(p.stat().st_size for p in corpus.iterdir())}
    ]


def test_it_reads_back_as_counting_gives_it(table, corpus):
    stored, counted = read_part(table, PATTERN), count(corpus, PATTERN).parts[0]
    assert stored.tally == counted.tally
    for a, b in ((stored.train, counted.train), (stored.held_out, counted.held_out)):
        assert np.array_equal(a.blob, b.blob)
        assert np.array_equal(a.starts, b.starts)
        assert np.array_equal(a.counts, b.counts)
        assert np.array_equal(a.document_counts, b.document_counts)


def test_a_table_by_somebody_else_needs_two_columns_and_the_pattern(tmp_path):
    path = written(tmp_path / "t.parquet", facts_of((b"\n", 3), (b" the", 2**40), (b"the", 1)))
    part = read_part(path, PATTERN)
    assert part.train.pretokens() == [b"\n", b" the", b"the"]
    assert part.train.counts.tolist() == [3, 2**40, 1]
    assert part.held_out.n_pretokens == 0
    assert part.held_out_rule == "not stated"


def test_the_recipe_in_the_documentation(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "counts.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(recipe, {})
    assert read_part(tmp_path / "mine.parquet", PATTERN).train.pretokens() == [b" world", b"Hello"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_binary(), pa.large_string()])
def test_pretokens_in_other_arrow_types(tmp_path, kind):
    made = facts_of((b" the", 2), (b"the", 1))
    made = made.set_column(0, "pretoken", made["pretoken"].cast(pa.string()).cast(kind))
    assert read_part(written(tmp_path / "t.parquet", made), PATTERN).train.pretokens() == [b" the", b"the"]


def test_another_spelling_of_the_same_split_is_the_same(tmp_path):
    path = written(tmp_path / "t.parquet", facts_of((b"the", 1), pattern=PATTERN.portable))
    assert read_part(path, PATTERN).train.n_occurrences == 1


@pytest.mark.parametrize("min_count", [1, 2, 5, 10**9])
def test_min_count_leaves_out_and_says_how_much(table, min_count):
    rows = pq.read_table(table).to_pylist()
    totals = {row["pretoken"]: row["count"] + row["held_out_count"] for row in rows}
    rare = {pretoken: n for pretoken, n in totals.items() if n < min_count}
    out = table.with_name(f"min{min_count}.parquet")
    facts = merge_count_tables([table], out, min_count=min_count)
    assert facts.left_out.n_pretokens == len(rare)
    assert facts.left_out.n_occurrences == sum(rare.values())
    assert facts.left_out.n_bytes == sum(len(pretoken) * n for pretoken, n in rare.items())
    assert set(pq.read_table(out)["pretoken"].to_pylist()) == totals.keys() - rare.keys()
    assert CountTable(out).metadata == facts
    if len(rare) < len(totals):
        kept = read_part(table, PATTERN, min_count)
        assert kept.train.pretokens() == [
            row["pretoken"] for row in rows if row["count"] and row["pretoken"] not in rare
        ]


# Sums


def test_the_sum_does_not_depend_on_order_or_groups(corpus, table, tmp_path, monkeypatch):
    paths = []
    for file in sorted(corpus.iterdir()):
        job = CountJob([str(file)], PATTERN)
        paths.append(count_to(tmp_path / file.stem, job).path)
    whole = tmp_path / "whole.parquet"
    merge_count_tables(paths, whole)
    assert pq.read_table(whole).equals(pq.read_table(table))
    merge_count_tables(paths[::-1], tmp_path / "reversed.parquet")
    merge_count_tables(paths[:2], tmp_path / "two.parquet")
    merge_count_tables([*paths[2:], tmp_path / "two.parquet"], tmp_path / "grouped.parquet")
    monkeypatch.setattr(merging, "MAX_SIDE_BY_SIDE", 2)
    merge_count_tables(paths, tmp_path / "cascade.parquet")
    for name in ("reversed", "grouped", "cascade"):
        assert (tmp_path / f"{name}.parquet").read_bytes() == whole.read_bytes()
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


@given(tables=st.lists(corpora(), min_size=1, max_size=6), n_rows=st.integers(1, 5))
def test_rows_added_up_side_by_side_equal_a_counter(tables, n_rows):
    def rows_of(counts: dict[bytes, int], column: int):
        made = PretokenCounts.from_mapping(counts, "p")
        values = np.zeros((made.n_pretokens, 4), dtype=np.uint64)
        values[:, column] = made.counts
        for k in range(0, made.n_pretokens, n_rows):
            yield Rows(made.blob, made.starts, values).slice(k, min(k + n_rows, made.n_pretokens))

    found = list(merging._side_by_side([rows_of(counts, k % 4) for k, counts in enumerate(tables)]))
    pretokens = [rows.pretoken(k) for rows in found for k in range(rows.n_rows)]
    values = np.concatenate([rows.values for rows in found]) if found else np.zeros((0, 4))
    assert pretokens == sorted(set(pretokens))
    for column in range(4):
        expected = sum((Counter(counts) for k, counts in enumerate(tables) if k % 4 == column), Counter())
        assert Counter({p: int(n) for p, n in zip(pretokens, values[:, column], strict=True) if n}) == +expected


def test_more_rows_than_a_row_group(tmp_path):
    pretokens = sorted(b"%06d" % k for k in range(150_000))
    made = PretokenCounts.from_mapping(dict.fromkeys(pretokens, 1), "p")
    values = np.ones((made.n_pretokens, 4), dtype=np.uint64)
    for n_rows in (1_000, 70_000, 150_000):
        writer = CountTableWriter(tmp_path / f"{n_rows}.parquet")
        for k in range(0, made.n_pretokens, n_rows):
            writer.write(Rows(made.blob, made.starts, values).slice(k, min(made.n_pretokens, k + n_rows)))
        writer.close(CountMetadata(CL100K_REGEX))
    files = [(tmp_path / f"{n}.parquet").read_bytes() for n in (1_000, 70_000, 150_000)]
    assert files[0] == files[1] == files[2]
    assert read_part(tmp_path / "1000.parquet", PATTERN).train.pretokens() == pretokens


# Mixtures


@given(sizes=st.lists(st.integers(1, 10**12), min_size=1, max_size=5), data=st.data())
def test_weights_give_the_shares_asked_for(sizes, data):
    wanted = data.draw(st.lists(st.floats(0.01, 100), min_size=len(sizes), max_size=len(sizes)))
    parts = [
        CorpusPart(str(k), PretokenCounts.from_mapping({b"a": n}, "p"), PretokenCounts.from_mapping({}, "p"), Tally())
        for k, n in enumerate(sizes)
    ]
    corpus = mixed(parts, wanted)
    total = sum(part.weight * part.train.n_bytes for part in corpus.parts)
    assert total <= 2**50 + sum(sizes)
    if min(part.weight for part in corpus.parts) >= 100:
        for share, w in zip(shares(corpus), wanted, strict=True):
            assert share == pytest.approx(w / sum(wanted), rel=0.01)


def test_parts_without_weights_are_added_up():
    parts = [
        CorpusPart(name, PretokenCounts.from_mapping({b"a": n}, "p"), PretokenCounts.from_mapping({}, "p"), Tally())
        for name, n in (("x", 3), ("y", 5))
    ]
    assert [part.weight for part in mixed(parts, [None, None]).parts] == [1, 1]
    assert shares(mixed(parts, [None, 1.0])) == pytest.approx([0.5, 0.5], rel=0.002)
    with pytest.raises(TargetError, match="above 0"):
        mixed(parts, [0.0, 1.0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4GB", 4 * 10**9), ("512MiB", 512 << 20), ("1.5 gb", 1_500_000_000), ("1000", 1000), ("2T", 2 * 10**12)],
)
def test_amounts_of_memory(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "4 GBs", "4PB", "1e9"])
def test_amounts_that_are_none(text):
    with pytest.raises(TargetError, match="not an amount of memory"):
        parse_bytes(text)


# Tables that cannot be trusted


def test_another_split_pattern_is_refused(table, tmp_path):
    assert "another split pattern" in refusal(table, SplitPattern(GPT2_REGEX))
    other = written(tmp_path / "t.parquet", facts_of((b"a", 1), pattern=GPT2_REGEX))
    with pytest.raises(CorpusError, match="another split pattern each"):
        merge_count_tables([table, other], tmp_path / "sum.parquet")
    assert not (tmp_path / "sum.parquet").exists()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([(b"a", 1), (b"c", 1), (b"b", 1)], "row 2 is not after the row before it"),
        ([(b"a", 1), (b"a", 1)], "row 1 is not after the row before it"),
        ([(b"ab", 1), (b"a", 1)], "row 1 is not after the row before it"),
        ([(b"", 1), (b"a", 1)], "row 0 is not after the row before it"),
        ([(b"a", 1), (b"b", -7)], "row 1 has a negative count: -7"),
        ([(b"a", 1), (b"b", None)], "row 1 has no count"),
        ([(b"a", 2**62), (b"b", 2**62)], "its counts overflow"),
        ([(b"aaaaaaaa", 2**61)], "its counts overflow"),
        ([], "is empty: there is no text to count"),
        ([(b"a", 0)], "is empty: there is no text to count"),
    ],
)
def test_rows_that_cannot_be(tmp_path, rows, sentence):
    assert sentence in refusal(written(tmp_path / "t.parquet", facts_of(*rows)))


def test_unsorted_rows_far_into_the_file(tmp_path):
    pretokens = sorted(b"%06d" % k for k in range(40_000))
    pretokens[16_384], pretokens[16_383] = pretokens[16_383], pretokens[16_384]
    path = written(tmp_path / "t.parquet", facts_of(*((p, 1) for p in pretokens)))
    assert "row 16,384 is not after" in refusal(path)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"format": 2}, "a count table of format 2"),
        ({"split_pattern": None}, "does not say how it was counted"),
        ({"tally": {"surprise": 1}}, "does not say how it was counted"),
        ({"corpus": 5}, "does not say how it was counted"),
        ({"split_pattern_sha256": "0" * 64}, "whose sha256 is another"),
    ],
)
def test_facts_that_cannot_be(tmp_path, facts, sentence):
    path = written(tmp_path / "t.parquet", facts_of((b"a", 1), **facts))
    with pytest.raises(Exception, match=sentence.replace("(", r"\(")) as caught:
        read_part(path, PATTERN)
    assert type(caught.value).__module__ == "vocab.errors"


def test_parquet_that_is_no_count_table(tmp_path):
    path = written(tmp_path / "t.parquet", pa.table({"text": ["a"]}))
    assert "it does not say which split pattern" in refusal(path)
    made = facts_of((b"a", 1))
    assert "it has no column 'count'" in refusal(written(path, made.drop_columns(["count"])))
    floats = made.set_column(1, "count", pa.array([1.5]))
    assert "column 'count' is double" in refusal(written(path, floats))
    numbers = made.set_column(0, "pretoken", pa.array([1]))
    assert "its pre-tokens are int64" in refusal(written(path, numbers))


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_truncated_table(table, tmp_path, kept):
    path = tmp_path / "t.parquet"
    path.write_bytes(table.read_bytes()[:kept])
    assert refusal(path).startswith(f"{path} cannot be read")


def test_missing_table(tmp_path):
    assert refusal(tmp_path / "t.parquet").startswith(f"{tmp_path / 't.parquet'} cannot be read")
