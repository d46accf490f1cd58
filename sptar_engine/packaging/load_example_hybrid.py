"""Search with the model in this folder and a keyword search together: python load_example_hybrid.py

Install the exact versions first: python -m pip install -r requirements.txt
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

FOLDER = Path(__file__).resolve().parent

Scores = dict[str, float]
Vectors = NDArray[np.float32]


def main() -> None:
    """Rank documents that either search has found for a query, best first."""
    model = SentenceTransformer(str(FOLDER))
    fusion = json.loads((FOLDER / "fusion.json").read_text())

    documents = {
        "hours": "The museum opens at nine on weekdays.",
        "bread": "Bread rises because yeast makes gas from sugar.",
        "ticket": "A visit costs five euros; children pay nothing.",
    }
    vectors = model.encode_document(list(documents.values()), normalize_embeddings=True)
    query = "when can i visit the museum"
    vector = model.encode_query(query, normalize_embeddings=True)
    # What a keyword search (BM25) has found for the same query, with its scores.
    words = {"hours": 1.9, "ticket": 1.2}

    for doc_id, score in search(vector, list(documents), vectors, words, fusion):
        print(f"{score:.3f}  {documents[doc_id]}")


def search(
    query: Vectors, doc_ids: list[str], vectors: Vectors, words: Scores, fusion: dict[str, Any]
) -> list[tuple[str, float]]:
    """The hits of both searches, as the figures in README.md were measured.

    `query` (dimensions) and `vectors` (documents, dimensions) are of length 1; `words` are the scores of the keyword
    search. With feedback the query moves towards what both have found first, and its vector searches again.
    """
    meaning = nearest(query, doc_ids, vectors)
    again = fusion["feedback"]
    if again:
        first = put_together(words, meaning, again["first"])[: again["documents"]]
        towards = vectors[[doc_ids.index(doc_id) for doc_id, _ in first]].sum(axis=0)
        meaning = nearest(one_long(query + again["rate"] * one_long(towards)), doc_ids, vectors)
    return put_together(words, meaning, fusion)


def nearest(query: Vectors, doc_ids: list[str], vectors: Vectors) -> Scores:
    """The cosine of every document with the query. A large collection asks an index for the first ones instead."""
    return dict(zip(doc_ids, (vectors @ query).tolist(), strict=True))


def put_together(words: Scores, meaning: Scores, fusion: dict[str, Any]) -> list[tuple[str, float]]:
    """Both sides by ranks, or scaled to 0 to 1 and weighted: documents with their scores, best first."""
    sides = [best(scores)[: fusion["depth"]] for scores in (words, meaning)]
    total: Scores = {}
    for hits, weight in zip(sides, (1 - (fusion["weight"] or 0), fusion["weight"]), strict=True):
        low, high = (min(score for _, score in hits), max(score for _, score in hits)) if hits else (0, 0)
        for rank, (doc_id, score) in enumerate(hits, 1):
            scaled = (score - low) / (high - low) if high > low else 1.0
            by_rank = 1 / (fusion["rank_constant"] + rank)
            total[doc_id] = total.get(doc_id, 0.0) + (by_rank if fusion["weight"] is None else weight * scaled)
    return best(total)


def best(scores: Scores) -> list[tuple[str, float]]:
    """From the highest score down; of equal ones the smaller id first."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def one_long(vector: Vectors) -> Vectors:
    """The direction of a vector."""
    length: float = float(np.linalg.norm(vector))
    return vector / max(length, 1e-12)


if __name__ == "__main__":
    main()
