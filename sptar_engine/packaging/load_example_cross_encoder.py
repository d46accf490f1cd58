"""Put a keyword search's first hits in order with the model in this folder: python load_example.py

Install the exact versions first: python -m pip install -r requirements.txt
"""

from pathlib import Path

from sentence_transformers import CrossEncoder


def main() -> None:
    """Rank two documents for a query and print their scores, best first."""
    model = CrossEncoder(str(Path(__file__).resolve().parent))

    # What a keyword search (BM25) has found, in its order. This model does not search, it puts in order.
    hits = ["Bread rises because yeast makes gas from sugar.", "The museum opens at nine on weekdays."]
    query = "when can i visit the museum"

    for hit in model.rank(query, hits):
        print(f"{hit['score']:.3f}  {hits[hit['corpus_id']]}")


if __name__ == "__main__":
    main()
