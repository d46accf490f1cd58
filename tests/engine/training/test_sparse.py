import pytest
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.losses import CSRLoss, SparseMultipleNegativesRankingLoss, SpladeLoss
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from sptar_engine.training.pace import parameter_groups
from sptar_engine.training.sparse import SparseAutoEncoderTower, Splade, build_sparse, predicts_words
from tests.engine.training.lessons import DOCUMENTS, PAIRS, QUERIES, learn, make_lesson, no_dropout, silent


@pytest.fixture(scope="module")
def masked_lm(tiny_encoder, tmp_path_factory):
    """A plain folder of a random BERT with the head that predicts words."""
    folder = tmp_path_factory.mktemp("masked")
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(params=["tiny_encoder", "masked_lm"])
def learner(request):
    torch.manual_seed(0)
    return build_sparse(make_lesson(request.getfixturevalue(request.param), {QUERIES[1]: (4,)}))


def columns(model: SparseEncoder) -> list[dict[str, torch.Tensor]]:
    texts = [pair.query for pair in PAIRS], [DOCUMENTS[pair.document_key] for pair in PAIRS]
    return [model.preprocess(column) for column in texts]


def test_base_with_a_head_for_words_becomes_splade_and_any_other_an_autoencoder(tiny_encoder, masked_lm) -> None:
    assert predicts_words(masked_lm) and not predicts_words(tiny_encoder)
    assert isinstance(build_sparse(make_lesson(masked_lm)), Splade)
    assert isinstance(build_sparse(make_lesson(tiny_encoder)), SparseAutoEncoderTower)


def test_autoencoders_loss_is_that_of_sentence_transformers(tiny_encoder) -> None:
    torch.manual_seed(0)
    learner = build_sparse(make_lesson(tiny_encoder))
    plain = SparseMultipleNegativesRankingLoss(learner.module, scale=20.0)  # the vectors are of length 1
    theirs = CSRLoss(learner.module, plain, beta=0.1)(columns(learner.module), torch.tensor(0))
    assert learner.learn(PAIRS) == pytest.approx(sum(theirs.values()).item(), rel=1e-5)


def test_splades_loss_is_that_of_sentence_transformers(masked_lm) -> None:
    learner = build_sparse(make_lesson(masked_lm))
    no_dropout(learner)
    learner.module.train()  # in evaluation mode the pooling overwrites what a gradient needs
    plain = SparseMultipleNegativesRankingLoss(learner.module, scale=1.0)
    loss = SpladeLoss(learner.module, plain, document_regularizer_weight=3e-5, query_regularizer_weight=5e-5)
    theirs = loss(columns(learner.module), torch.tensor(0))
    assert learner.learn(PAIRS) == pytest.approx(sum(theirs.values()).item(), rel=1e-5)


def test_wide_layer_learns_faster_than_the_encoder(tiny_encoder) -> None:
    learner = build_sparse(make_lesson(tiny_encoder))
    groups = {group["pace"]: len(group["params"]) for group in parameter_groups(learner.module)}
    assert groups[50.0] == 3 and groups[1.0] > 30  # weights and two biases


def test_a_few_steps_lower_the_loss(learner) -> None:
    optimizer = torch.optim.AdamW(learner.module.parameters(), lr=5e-3)
    losses = []
    for step in range(8):
        losses.append(learn(learner, seed=step)[0])
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


def test_saved_model_loads_and_its_products_are_what_was_measured(learner, tmp_path) -> None:
    with torch.inference_mode():
        learner.score(silent())
        parts = learner.cut("query", list(QUERIES.values()), 0), learner.cut("document", list(DOCUMENTS), 0)
        sides = [learner.join(part, [one.encode() for one in part]) for part in parts]
        expected = learner.similarity(*sides)
    learner.save(tmp_path / "model")
    loaded = SparseEncoder(str(tmp_path / "model"), device="cpu", local_files_only=True)
    assert loaded.max_seq_length == 64 and loaded.similarity_fn_name == "dot"
    queries, documents = loaded.encode_query(list(QUERIES.values())), loaded.encode_document(list(DOCUMENTS.values()))
    torch.testing.assert_close(loaded.similarity(queries, documents), expected, rtol=1e-4, atol=1e-5)
