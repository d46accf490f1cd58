"""Search with the retriever in this folder: python load_example.py

Install the exact versions first: python -m pip install -r requirements.txt
"""

from pathlib import Path

from sentence_transformers import SentenceTransformer


def main() -> None:
    """Rank two documents for a query and print their scores, best first."""
    model = SentenceTransformer(str(Path(__file__).resolve().parent))

    documents = ["The museum opens at nine on weekdays.", "Bread rises because yeast makes gas from sugar."]
    query = "when can i visit the museum"

    scores = model.similarity(model.encode_query([query]), model.encode_document(documents))[0].tolist()  # (documents,)
    for score, document in sorted(zip(scores, documents, strict=True), reverse=True):
        print(f"{score:.3f}  {document}")


if __name__ == "__main__":
    main()
