"""Put a keyword search's first hits in order with the model in this folder: python load_example.py

Install the exact versions first: python -m pip install -r requirements.txt
"""

import json
from pathlib import Path

from sentence_transformers import CrossEncoder

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Rank two documents for a query and print their scores, best first."""
    model = CrossEncoder(str(FOLDER))

    # What a keyword search (BM25) has found, with its scores. This model does not search, it puts in order.
    hits = {"Bread rises because yeast makes gas from sugar.": 2.1, "The museum opens at nine on weekdays.": 1.8}
    query = "when can i visit the museum"

    read = model.predict([(query, text) for text in hits]).tolist()
    scores = put_together(read, list(hits.values()))
    for score, text in sorted(zip(scores, hits, strict=True), reverse=True):
        print(f"{score:.3f}  {text}")


def put_together(read: list[float], found: list[float]) -> list[float]:
    """The model's scores of a query's hits beside those of the keyword search, as the model was measured."""
    file = FOLDER / "fusion.json"
    weight = json.loads(file.read_text())["weight"] if file.is_file() else 1.0
    if weight == 1:
        return read
    both = zip(scale(read), scale(found), strict=True)
    return [weight * own + (1 - weight) * other for own, other in both]


def scale(scores: list[float]) -> list[float]:
    """Scores from 0, the lowest, to 1, the highest; all 1 when they are equal."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


if __name__ == "__main__":
    main()
