"""A bi-encoder whose queries alone learn: documents keep the vectors of the base."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import checksums, read_jsonl
from sptar_engine.configs import EvaluateConfig, TeachConfig
from sptar_engine.data.beir import read_corpus, read_queries
from sptar_engine.errors import Cancelled
from sptar_engine.evaluation.trec import read_run
from sptar_engine.retrieval.dense import encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.kinds import QUERY, document_side, has_two_towers
from sptar_engine.stage import Progress
from sptar_engine.stages import evaluate as evaluate_stage
from sptar_engine.stages import teach as teach_stage
from sptar_engine.stages import train as train_stage
from sptar_engine.training.base_vectors import BaseVectors
from sptar_engine.training.development import DevelopmentSet
from sptar_engine.training.lora import load_plain_weights
from sptar_engine.training.mixing import Mixture

SCRATCH = frozenset({"scratch"})
TEXTS = ["how is lift measured", "what moves the shock"]


@pytest.fixture
def inputs(prepare, filtered, make_context, tiny_encoder) -> dict[str, Path]:
    inputs = {"prepare": prepare, "filter": filtered}
    context = make_context("teach", inputs)
    teach_stage.teach_together(TeachConfig(teacher="hybrid", hits=10, base=str(tiny_encoder), max_length=48), context)
    return inputs | {"teach": context.out_dir}


@pytest.fixture
def config(make_config):
    return make_config(towers="query", batch_size=16, learning_rate=1e-3, mixes="1.0")


def keep_trained(learner, base, trained, known, shares, meter) -> Mixture:
    """Take the trained weights, better or not."""
    load_plain_weights(learner.module, trained)
    return Mixture(1.0, known)


def test_only_queries_change_and_one_line_loads_both_towers(
    config, inputs, make_context, tiny_encoder, monkeypatch
) -> None:
    monkeypatch.setattr(train_stage, "choose_mixture", keep_trained)
    context = make_context("train", inputs)
    metrics = train_stage.run(config, context).metrics
    folder = context.out_dir / "model"
    assert has_two_towers(folder) and document_side(folder) == document_side(tiny_encoder)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = 48
    base = load_bi_encoder(tiny_encoder, 48, "cpu")
    np.testing.assert_array_equal(model.encode_document(TEXTS), base.encode(TEXTS))
    assert np.abs(model.encode_query(TEXTS) - base.encode(TEXTS)).max() > 1e-3
    np.testing.assert_array_equal(model.encode(TEXTS), model.encode_document(TEXTS))
    assert metrics["dev_nDCG@10_trained"] == metrics["mixtures"]["1"]


def test_loss_falls_and_batches_read_no_document(config, inputs, make_context, monkeypatch) -> None:
    read = []
    forward = torch.nn.Module.__call__

    def count(module, *arguments, **settings):
        if isinstance(module, SentenceTransformer) and torch.is_grad_enabled():
            read.append(len(arguments[0]["input_ids"]))
        return forward(module, *arguments, **settings)

    monkeypatch.setattr(torch.nn.Module, "__call__", count)
    context = make_context("train", inputs)
    train_stage.run(config, context)
    losses = [row["loss"] for row in read_jsonl(context.out_dir / "history.jsonl")][1:]
    assert losses[-1] < losses[0]
    assert 0 < sum(read) <= len(losses) * config.batch_size  # texts that passed for learning: queries at most


def test_stopped_training_goes_on_to_the_same_bytes(config, inputs, make_context) -> None:
    ticks: list[Progress] = []
    whole = make_context("train", inputs, report=ticks.append)
    expected = train_stage.run(config, whole).metrics
    first = next(number for number, tick in enumerate(ticks) if "dev_nDCG@10" in tick.metrics)
    attempt = make_context("train", inputs)
    # The second run finds the documents' vectors in the cache, so that it reports nothing of them.
    encoded = sum("documents encoded" in tick.message for tick in ticks)
    answers = iter([False] * (first - encoded + 2) + [True])
    with pytest.raises(Cancelled):
        train_stage.run(
            config, make_context("train", inputs, out=attempt.out_dir, should_stop=lambda: next(answers, True))
        )
    assert not (attempt.out_dir / "model").exists()
    assert train_stage.run(config, attempt).metrics == expected
    assert checksums(attempt.out_dir, SCRATCH) == checksums(whole.out_dir, SCRATCH)


def test_cached_gradients_learn_the_same(config, make_config, inputs, make_context) -> None:
    settings = {"towers": "query", "batch_size": 16, "learning_rate": 1e-3, "mixes": "1.0", "epochs": 1}
    losses = []
    for held in (0, 4):
        context = make_context("train", inputs)
        train_stage.run(make_config(**settings, cached_pairs=held), context)
        losses.append([row["loss"] for row in read_jsonl(context.out_dir / "history.jsonl")][1:])
    assert losses[1][0] == pytest.approx(losses[0][0], rel=0.05)  # but for what dropout draws


def test_evaluation_asks_with_one_tower_and_finds_with_the_other(config, inputs, make_context) -> None:
    context = make_context("train", inputs)
    train_stage.run(config, context)
    measured = make_context("evaluate", {"prepare": inputs["prepare"], "train": context.out_dir})
    evaluate_stage.run(EvaluateConfig(depth=100, max_length=48), measured)
    model = load_bi_encoder(context.out_dir / "model", 48, "cpu")
    documents = list(read_corpus(inputs["prepare"]).values())
    vectors = encode(model, [document.content for document in documents], 48)
    found = read_run(measured.out_dir / "run.trec")
    asked = {query_id: read_queries(inputs["prepare"])[query_id].text for query_id in found}
    questions = encode(model, list(asked.values()), 48, side=QUERY)
    expected = search(list(asked), questions, [document.doc_id for document in documents], vectors, 5)
    assert asked
    for query_id, hits in expected.items():
        assert [hit.doc_id for hit in found[query_id][:5]] == [hit.doc_id for hit in hits]


def test_no_text_of_the_searched_documents_is_held_and_their_rows_are_found_once(
    config, inputs, make_context, monkeypatch
) -> None:
    def refuse(development):
        raise AssertionError("somebody asks for the texts of all documents")

    found = []
    find = BaseVectors.matrix_of
    monkeypatch.setattr(DevelopmentSet, "texts", property(refuse))
    monkeypatch.setattr(BaseVectors, "matrix_of", lambda *given: found.append(1) or find(*given))
    first = train_stage.run(config, make_context("train", inputs)).metrics
    ticks: list[Progress] = []
    again = train_stage.run(config, make_context("train", inputs, report=ticks.append)).metrics
    assert first == again and len(found) == 2
    # The untrained score is in the cache now: what is passed over is counted in queries, as everything else is.
    learning = [tick for tick in ticks if "documents encoded" not in tick.message]
    assert learning[0].done < learning[0].total == learning[-1].total
