"""Token ids in settings: under every name and in every section, and numbers that may be ids but did not follow."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocab.errors import SourceError
from vocab.formats.id_map import IdMap
from vocab.interop.transplants.id_places import check_places
from vocab.interop.transplants.model_ids import IdChanges, OldTokens, with_new_ids
from vocab.interop.transplants.vocab_sizes import with_vocab_size

# Ids 100 … 105 are added tokens, the ordinary ones below are kept but for 7 and 8.
TEXTS = {k: f"t{k}" for k in range(100)} | {100: "<|end|>", 101: "<|en|>", 102: "<|de|>", 103: "<image>"}
TEXTS |= {104: "<|transcribe|>", 105: "<|notimestamps|>"}
KEPT = {old: new for new, old in enumerate(k for k in range(106) if k not in (7, 8))}
IDS = IdMap("small", 106, 104, KEPT, {7: (0,), 8: (1, 2)}, {})


def changed(content, *, added=range(100, 106), sizes=(106,), ids=IDS):
    changes = IdChanges(tokens=OldTokens(TEXTS, frozenset(added)))
    return with_new_ids(content, "config.json", ids, changes, sizes), changes


@pytest.mark.parametrize(
    "content",
    [
        {"eos_token_id": 100, "bos_token_id": None, "pad_token_id": -1},
        {"eos_token_id": [100, 101], "stop_token_ids": [[100], [101, 102]]},
        {"image_token_index": 103, "image_token_indices": [103], "image_token_idx": 103, "image_token_id_list": [103]},
        {"lang_to_id": {"<|en|>": 101, "<|de|>": 102}, "task_to_id": {"transcribe": 104}},
        {"no_timestamps_token_id": 105, "prev_sot_token_id": 104},
        {"forced_decoder_ids": [[1, 101], [2, 104]], "lang_code_to_id": {"x": 101}},
        {"thinker_config": {"text_config": {"vocab_size": 106, "audio_token_id": 103}}},
        {"rag": {"deep": [{"sep_token_id": 101}, {"other": {"cls_token_id": 102}}]}},
        {"any_name": {"<|en|>": 101, "de": 102}, "names": {"image": 103}},
        {"boi_id": 5, "bos_id": 100, "eos_id": [100, 101], "stop_ids": [100], "special_tokens": [100, 102]},
        {"image_patch_id": 103, "slice_start_id": 101, "newline_id": 102, "im_end_id": 100, "mask_index": 101},
        {"image_token": 103, "start_token": 101, "some_id_list": [101, 102]},
        {"vision_config": {"image_token_id": 103, "vision_start_token_id": 101, "image_size": 224}},
        {"talker_config": {"vocab_size": 9, "tts_text_start_token_id": 101}},
    ],
)
def test_ids_follow_under_every_name_and_in_every_section(content):
    new, changes = changed(content)

    def followed(value):
        if type(value) is int:
            return value - 2 if value >= 100 and value not in (106, 224) else value
        if isinstance(value, dict):
            return {key: followed(inner) for key, inner in value.items()}
        return [followed(inner) for inner in value] if isinstance(value, list) else value

    # The position in forced_decoder_ids is below 100, and so are the others that stay.
    assert new == followed(content)
    assert changes.not_followed == []
    assert changes.changed


def test_names_that_are_ids_follow_with_the_texts_of_their_tokens():
    new, _ = changed({"id_to_token": {"100": "<|end|>", "103": "<image>"}, "decoder": {"101": {"content": "<|en|>"}}})
    assert new == {"id_to_token": {"98": "<|end|>", "101": "<image>"}, "decoder": {"99": {"content": "<|en|>"}}}


def test_a_vocabulary_map_loses_what_is_gone_but_for_images():
    new, changes = changed({"vocabulary_map": {"t5": 5, "t7": 7, "t9": 9, "<image>": 103}})
    assert new == {"vocabulary_map": {"t5": 5, "t9": 7, "<image>": 101}}
    assert changes.notes == ["config.json: vocabulary_map loses 1 token that the vocabulary lost"]
    with pytest.raises(SourceError, match=r"has 1 tokens of images that small lost, 'IMGIMGA' first"):
        changed({"model": {"vocabulary_map": {"t5": 5, "IMGIMGA": 8}}})


NOT_FOLLOWED = {
    "image_size": ({"image_size": 100}, [("image_size", 100)]),
    "a list": (
        {"alignment_heads": [[1, 100], [101, 2]]},
        [("alignment_heads[0][1]", 100), ("alignment_heads[1][0]", 101)],
    ),
    "a name": ({"x": {"103": "cat", "5": "dog"}, "id2label": {"102": "a"}}, [("x.103", 103), ("id2label.102", 102)]),
    "labels": ({"label2id": {"<|en|>": 101}}, [("label2id.<|en|>", 101)]),
    "some tokens of many": (
        {"num_image_tokens": 100, "some_id_list": [100, 5]},
        [("num_image_tokens", 100), ("some_id_list[0]", 100)],
    ),
    "vision's own": ({"vision_config": {"pad_token_id": 100, "n": 7}}, [("vision_config.pad_token_id", 100)]),
    "another vocabulary": ({"aux": {"vocab_size": 50, "eos_token_id": 101}}, [("aux.eos_token_id", 101)]),
    "a count": (
        {"num_image_token": 103, "image_tokens": 103, "n_stop_ids": 103},
        [(k, 103) for k in ("num_image_token", "image_tokens", "n_stop_ids")],
    ),
    "units": (
        {"t2u_eos_token_id": 100, "codec_bos_token_id": 101},
        [("t2u_eos_token_id", 100), ("codec_bos_token_id", 101)],
    ),
    "quantisation": ({"quantization_config": {"group_size": 104}}, [("quantization_config.group_size", 104)]),
    "deep in a list": ({"a": [{"b": [100]}, 101.0, "102", True]}, [("a[0].b[0]", 100), ("a[1]", 101), ("a[2]", 102)]),
}


@pytest.mark.parametrize("kind", NOT_FOLLOWED)
def test_a_number_that_was_the_id_of_an_added_token_stays_and_is_listed(kind):
    content, expected = NOT_FOLLOWED[kind]
    new, changes = changed(content)
    assert new == content
    assert [(one["setting"].removeprefix("config.json: "), one["value"]) for one in changes.not_followed] == expected


KEYS = st.sampled_from(
    [
        "eos_token_id",
        "image_token_index",
        "lang_to_id",
        "x",
        "vision_config",
        "text_config",
        "aux",
        "image_size",
        "bos_id",
        "special_tokens",
        "id2label",
        "quantization_config",
        "task_specific_params",
        "<|en|>",
        "codec_token_id",
        "image_token",
        "any_id_list",
        "pad_token_id",
        "vocab_size",
        "vocabulary_map",
    ]
)
NUMBERS = st.sampled_from([None, True, -1, 0, 3, 100, 101, 103, 105, 106, 100.0, "101", "<image>"])
JSON = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
FAR = IdMap("small", 106, 506, {k: k if k < 100 else k + 400 for k in range(106)}, {}, {})


def leaves(value, path=""):
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{path}/{key}")
    elif type(value) is int or value in (100.0, "101"):
        yield path, int(value)


@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_every_old_id_of_an_added_token_has_followed_or_is_listed(content):
    before = json.dumps(content)
    try:
        new, changes = changed(content, ids=FAR)
    except SourceError:
        return
    assert json.dumps(content) == before
    stayed = [(path, number) for path, number in leaves(new) if 100 <= number < 106]
    assert [one["value"] for one in changes.not_followed] == [number for _, number in stayed]


def test_ids_as_texts_and_as_broken_numbers_are_listed():
    _, changes = changed({"eos_token_id": "100", "deep": [{"pad_token_id": 101.0}], "rate": 101.5, "name": "x100"})
    assert changes.not_followed == [
        {"setting": "config.json: eos_token_id", "value": 100},
        {"setting": "config.json: deep[0].pad_token_id", "value": 101},
    ]


def test_numbers_whose_ids_stay_and_sizes_that_follow_are_not_listed():
    content = {"num_hidden_layers": 3, "x": 5, "vocab_size": 103, "text_config": {"padded_vocab_size": 103}}
    new, changes = changed(content, added=[3, 5, 103], sizes=(103, 111))
    assert (new, changes.not_followed, changes.notes) == (content, [], [])


def test_a_size_that_does_not_follow_is_noted():
    _, changes = changed({"vocab_size": 103, "text_config": {"vocab_size": 106}, "vision_config": {"vocab_size": 102}})
    assert changes.notes == ["config.json: vocab_size is 103, not the rows of the embedding, and was left as it is"]
    assert [one["setting"] for one in changes.not_followed] == [
        "config.json: vocab_size",
        "config.json: vision_config.vocab_size",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lang_to_id": {"<|en|>": 7}}, r"lang_to_id\.<\|en\|> is 7, a token that small lost"),
        ({"a": {"b": {"eos_token_id": [5, 900]}}}, r"a\.b\.eos_token_id is 900, which is not a token of small"),
        ({"forced_decoder_ids": [5, 6]}, "forced_decoder_ids is not a list of pairs"),
        ({"forced_decoder_ids": 5}, "forced_decoder_ids is not a list of pairs"),
    ],
)
def test_ids_that_cannot_follow_are_refused(content, message):
    with pytest.raises(SourceError, match=message):
        changed(content)


def test_the_way_around_fits_ordinary_and_special_tokens():
    assert 7 in IDS.dropped
    for added, way in (({7}, "prune again without naming it in `drop_special`"), ((), "prune again with its text in")):
        with pytest.raises(SourceError, match=way):
            changed({"eos_token_id": 7}, added=added)


def test_sizes_follow_in_every_section_of_the_text():
    content = {"vocab_size": 106, "padded_vocab_size": 106, "n_vocab": 50, "x": {"y": {"vocab_size": 106}}}
    content |= {"vision_config": {"vocab_size": 106}, "text_config": {"vocab_size_per_layer_input": 90}}
    assert with_vocab_size(content, 106, 104) == {
        "vocab_size": 104,
        "padded_vocab_size": 104,
        "n_vocab": 50,
        "x": {"y": {"vocab_size": 104}},
        "vision_config": {"vocab_size": 106},
        "text_config": {"vocab_size_per_layer_input": 104},
    }


def test_times_of_whisper_keep_their_places():
    whisper = {"no_timestamps_token_id": 101}
    check_places({}, whisper, IDS, 106)
    check_places({}, {"no_timestamps_token_id": 105}, IDS, 106)
    with pytest.raises(SourceError, match=r"the id 7 stands for 0\.00 s by its place"):
        check_places({}, {"no_timestamps_token_id": 6}, IDS, 106)
    with pytest.raises(SourceError, match="small has no ids for times, which the model has from 106 on"):
        check_places({}, {"no_timestamps_token_id": 105}, IDS, 106 + 1501)


def test_positions_that_are_counted_from_the_padding_need_its_id_to_stay():
    check_places({"model_type": "roberta"}, {}, IDS, 106)
    check_places({"model_type": "llama", "pad_token_id": 100}, {}, IDS, 106)
    with pytest.raises(SourceError, match="pad_token_id is 100 and would become 98, from which a roberta model counts"):
        check_places({"model_type": "roberta", "pad_token_id": 100}, {}, IDS, 106)


def test_ids_that_a_tower_embeds_are_refused():
    with pytest.raises(SourceError, match=r"vision_config\.vocab_offset gives the ids from 90 to a tower"):
        check_places({"vision_config": {"vocab_offset": 90}}, {}, IDS, 106)
