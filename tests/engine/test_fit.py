"""What a dataset cannot carry is said as soon as it is read."""

import shutil

import pytest

from sptar_engine.artifacts import read_jsonl, write_json, write_jsonl
from sptar_engine.data.beir import write_labels
from sptar_engine.data.seeds import seeds_path
from sptar_engine.errors import ConfigError, InputError
from sptar_engine.experiment import merge, plan
from sptar_engine.fit import BaseSize, base_size, check_base, check_fit, check_seeds
from sptar_engine.records import Qrels, Query

COUNTS = {"documents": 1400, "pool": 1100, "train_queries": 50}


def check(
    arms: tuple[str, ...], settings: dict | None = None, families: tuple[str, ...] = ("bi_encoder",), **counts: int
):
    return check_fit(plan(arms, merge(settings or {}), families=families), COUNTS | counts)


def test_what_fits_has_no_warning() -> None:
    assert (
        check(("bm25", "zero_shot", "seeds_only", "promptagator", "sptar"), families=("bi_encoder", "cross_encoder"))
        == ()
    )


def test_one_document_trains_nothing_but_can_be_searched() -> None:
    with pytest.raises(InputError, match="The collection has one document"):
        check(("seeds_only",), documents=1)
    assert check(("bm25",), documents=1) == ()


def test_no_unlabelled_document_leaves_nothing_to_write_for() -> None:
    with pytest.raises(InputError, match="Every document has a training label"):
        check(("inpars",), pool=0)
    assert check(("seeds_only",), pool=0) == ()


def test_more_examples_than_train_queries_are_refused_for_the_arm_that_wants_them() -> None:
    with pytest.raises(ConfigError, match=r"select\.examples: 8 examples need as many train queries, and there are 5"):
        check(("promptagator",), train_queries=5)
    assert check(("inpars",), train_queries=5) == ()


def test_skipping_all_that_can_be_mined_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mine\.skip: 10 passes over everything that can be mined in 11 documents"):
        check(("seeds_only",), {"mine": {"skip": 10}}, families=("cross_encoder",), documents=11)


def test_cross_encoder_that_reads_the_whole_collection_is_warned_of_once() -> None:
    warnings = check(
        ("seeds_only", "inpars"), {"generate": {"documents": 10}}, families=("cross_encoder",), documents=40
    )
    (warning,) = warnings
    assert warning.startswith("With 40 documents and train.rerank_depth=50 the cross-encoder puts the whole")


def test_fewer_documents_than_asked_for_are_warned_of() -> None:
    (warning,) = check(("inpars",), pool=300)
    assert warning.startswith("generate.documents asks for 1000 documents and 300 have no training label")


@pytest.mark.parametrize(
    ("family", "option", "fits", "too_much"),
    [
        ("bi_encoder", "matryoshka", "31,16", "32,16"),
        ("adapter", "adapter_rank", 32, 33),
        ("late_interaction", "token_dimensions", 32, 33),
    ],
)
def test_more_dimensions_than_the_base_has_are_refused(tiny_encoder, family, option, fits, too_much) -> None:
    assert base_size(tiny_encoder) == BaseSize(32, 32)
    check_base(plan(("seeds_only",), merge({"train": {option: fits}}), families=(family,)), tiny_encoder)
    with pytest.raises(
        ConfigError, match=rf"train\.{option}: {too_much} is too much for the base; .* its 32 dimensions"
    ):
        check_base(plan(("seeds_only",), merge({"train": {option: too_much}}), families=(family,)), tiny_encoder)


def test_base_that_does_not_say_its_size_is_not_judged(tmp_path) -> None:
    assert base_size(tmp_path) == BaseSize(None, None)
    check_base(plan(("seeds_only",), merge({"train": {"matryoshka": "4096"}})), tmp_path)


def test_base_that_is_no_transformer_is_refused(tmp_path) -> None:
    write_json(tmp_path / "modules.json", [{"type": "sentence_transformers.models.StaticEmbedding", "path": ""}])
    with pytest.raises(InputError, match="holds a StaticEmbedding, not a Hugging Face encoder"):
        check_base(plan(("seeds_only",), merge({})), tmp_path)


def test_labels_with_one_answer_for_all_are_refused_where_nothing_else_is_learned_from(toy_dataset, tmp_path) -> None:
    shutil.copy(toy_dataset / "corpus.jsonl", tmp_path)
    doc_id = next(iter(read_jsonl(toy_dataset / "corpus.jsonl")))["_id"]
    queries = [Query(f"q{number}", f"question {number}") for number in range(3)]
    write_labels(tmp_path, queries, {"train": Qrels({query.query_id: {doc_id: 1} for query in queries})})
    write_jsonl(
        seeds_path(tmp_path, "train"),
        ({"query_id": query.query_id, "query": query.text, "doc_id": doc_id, "grade": 1} for query in queries),
    )
    with pytest.raises(InputError, match="Each of the 1 training documents answers each of the 3 training questions"):
        check_seeds(plan(("bm25", "seeds_only"), merge({})), tmp_path)
    check_seeds(plan(("inpars",), merge({})), tmp_path)
    check_seeds(plan(("seeds_only",), merge({"train": {"negatives": 1}})), tmp_path)


def test_vectors_have_the_size_of_the_last_module_and_tokens_that_of_the_transformer(tmp_path) -> None:
    configs = {"": {"hidden_size": 64}, "1_Pooling": {"embedding_dimension": 64}, "2_Dense": {"out_features": 24}}
    for part, config in configs.items():
        write_json(tmp_path / part / "config.json", config)
    assert base_size(tmp_path) == BaseSize(64, 64)
    write_json(tmp_path / "modules.json", [{"path": part} for part in (*configs, "3_Normalize")])
    assert base_size(tmp_path) == BaseSize(64, 24)


def test_place_beyond_the_different_sets_of_examples_is_refused(toy_dataset, tmp_path) -> None:
    shutil.copy(toy_dataset / "corpus.jsonl", tmp_path)
    doc_ids = [row["_id"] for row in read_jsonl(toy_dataset / "corpus.jsonl")][:3]
    rows = ({"query_id": f"q{doc_id}", "query": "a question", "doc_id": doc_id, "grade": 1} for doc_id in doc_ids)
    write_jsonl(seeds_path(tmp_path, "train"), rows)
    check_seeds(plan(("sptar",), merge({"select": {"take": 2}})), tmp_path)
    with pytest.raises(ConfigError, match="3 is beyond the last of 3 different sets"):
        check_seeds(plan(("sptar",), merge({"select": {"take": 3}})), tmp_path)
