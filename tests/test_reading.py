"""What files from outside may ask for: JSON, names of files, links."""

import json
import os
from pathlib import Path

import pytest
from helpers.cli import fails

import vocab
from vocab.errors import SourceError
from vocab.reading import MAX_DEPTH, check_depth, check_links, is_file_name, parse_json
from vocab.vocabulary import Vocabulary


@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_json_may_be_as_deep_as_any_file_and_no_deeper(brackets):
    opening, closing = brackets[:-1], brackets[-1]
    deepest = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    assert json.dumps(parse_json(deepest), separators=(",", ":")) == deepest
    for deeper in (opening + deepest + closing, opening * 100_000):
        with pytest.raises(ValueError, match="nests lists and objects too deeply"):
            parse_json(deeper)


def test_depth_is_that_of_the_deepest_branch():
    check_depth({"a": [1, {"b": 2}], "c": "[[[["})
    branch: list[object] = []
    for _ in range(MAX_DEPTH):
        branch = [branch]
    with pytest.raises(ValueError, match="nests lists and objects too deeply"):
        check_depth({"a": 1, "b": branch})


def test_a_name_twice_is_taken_or_refused():
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}
    with pytest.raises(ValueError, match="a name appears twice"):
        parse_json('[{"a": 1, "a": 2}]', allow_repeats=False)
    assert parse_json('[{"a": 1, "b": 2}]', allow_repeats=False) == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "a b", "é", "a..b", "optimal, least tokens"])
def test_names_of_files(name):
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "/etc/passwd", "a/b", "..\\b", "C:b", "a\0b", "a\nb", "\x1b[31m", "\u202eb"]
)
def test_names_that_lead_out_of_a_folder_or_hide(name):
    assert not is_file_name(name)


def test_links_within_a_folder_are_followed_and_no_others(tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    model = tmp_path / "model"
    (model / "below").mkdir(parents=True)
    (model / "below" / "a.json").write_text("{}")
    (model / "a.json").symlink_to("below/a.json")
    check_links(model)
    (model / "tokenizer_config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(SourceError, match=r"tokenizer_config.json is a symbolic link out of its folder"):
        check_links(model)
    (model / "tokenizer_config.json").unlink()
    (model / "gone.json").symlink_to("../gone.json")
    with pytest.raises(SourceError, match=r"gone.json is a symbolic link out of its folder"):
        check_links(model)


def test_links_of_the_hubs_cache_are_followed(tmp_path):
    """As huggingface_hub lays them out: a snapshot's files are links to blobs beside the snapshots."""
    snapshot, blobs = tmp_path / "models--a--b/snapshots/0123", tmp_path / "models--a--b/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "f00").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/f00")
    check_links(snapshot)
    (tmp_path / "models--a--b/other.json").write_text("{}")
    (snapshot / "other.json").symlink_to("../../other.json")
    with pytest.raises(SourceError, match=r"other.json is a symbolic link out of its folder"):
        check_links(snapshot)


def test_a_vocabulary_whose_files_are_links_out_of_its_folder_is_refused(cl100k, tmp_path):
    Vocabulary.from_tokens(list(cl100k.tokens())[:300], cl100k.pattern).save(tmp_path / "real")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert vocab.load(tmp_path / "linked").n_ids == 300  # a folder that is named is followed
    (tmp_path / "model").mkdir()
    for path in (tmp_path / "real").iterdir():
        (tmp_path / "model" / path.name).symlink_to(Path("..") / "real" / path.name)
    assert "is a symbolic link out of its folder, which is not followed" in fails(tmp_path, "inspect", "model")


def test_names_with_control_characters_are_one_line_of_an_error(tmp_path):
    (tmp_path / "a\x1b[31m\n\u202e[").mkdir()
    name = "a\x1b[31m\n\u202e[/b].json"
    (tmp_path / name).write_text("{")
    said = fails(tmp_path, "inspect", name)
    assert r"a\x1b[31m\n\u202e[/b].json" in said


def test_a_name_that_is_not_utf8_is_one_line_of_an_error(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.json")).write_text("{")
    assert r"a\udcff.json" in fails(tmp_path, "inspect", os.fsdecode(b"a\xff.json"))
