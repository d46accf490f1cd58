"""A toy dataset made by rule: every document has a thing, a place and a feature; a query asks with two of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

SPLITS = {"train": 14, "dev": 12, "test": 12}

_THINGS = {
    "bird": "sparrow heron falcon penguin robin swallow owl crane parrot gull",
    "tool": "hammer chisel wrench pliers sander router saw drill clamp level",
    "food": "bread cheese lentil pepper noodle apple walnut carrot mushroom honey",
    "star": "pulsar nebula comet quasar planet meteor galaxy asteroid eclipse supernova",
    "sport": "rowing fencing tennis archery judo sailing cycling rugby diving hockey",
    "metal": "copper iron nickel silver titanium zinc cobalt tungsten mercury lithium",
}
_PLACES = ("the harbour", "a mountain hut", "the old library", "our village", "a desert camp")
_FEATURES = (
    "long and narrow", "bright yellow", "rare in winter", "easy to carry", "loud at night", "covered in dust",
)  # fmt: skip
_TEMPLATES = (
    "where can i find the {thing} of {place}",
    "which {topic} is {feature} like a {thing}",
    "{thing} {feature} {topic}",
    "tell me why the {thing} in {place} matters",
)


def write(folder: Path) -> None:
    """Write corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv.

    Queries take every document but the last of each five, in turn; a query of a number divisible by five has a
    second relevant document (grade 1 beside grade 2). The other documents are unlabelled.
    """
    documents = list(_documents())
    labelled = [index for index in range(len(documents)) if index % 5 != 4][: sum(SPLITS.values())]
    splits = [split for split, count in SPLITS.items() for _ in range(count)]
    queries, rows = [], {split: ["query-id\tcorpus-id\tscore"] for split in SPLITS}
    for number, (index, split) in enumerate(zip(labelled, splits, strict=True)):
        document, query_id = documents[index], f"q{number:02d}"
        queries.append({"_id": query_id, "text": _TEMPLATES[number % 4].format_map(document)})
        rows[split].append(f"{query_id}\t{document['_id']}\t2")
        if number % 5 == 0:
            rows[split].append(f"{query_id}\t{documents[index + 1]['_id']}\t1")
    _write_lines(folder / "corpus.jsonl", (_json(document, ("_id", "title", "text")) for document in documents))
    _write_lines(folder / "queries.jsonl", (_json(query, ("_id", "text")) for query in queries))
    for split, lines in rows.items():
        _write_lines(folder / "qrels" / f"{split}.tsv", lines)


def _documents() -> Iterable[dict[str, str]]:
    for number, (topic, things) in enumerate(_THINGS.items()):
        for index, thing in enumerate(things.split()):
            place, feature = _PLACES[(number + index) % 5], _FEATURES[(number * 2 + index) % 6]
            yield {
                "_id": f"{topic}-{index}", "topic": topic, "thing": thing, "place": place, "feature": feature,
                "title": f"The {thing}",
                "text": f"The {thing} is a {topic} that people know from {place}. It is {feature}, and every other "
                f"{topic} is compared with the {thing} by those who have seen both.",
            }  # fmt: skip


def _json(record: Mapping[str, str], names: tuple[str, ...]) -> str:
    return json.dumps({name: record[name] for name in names})


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
