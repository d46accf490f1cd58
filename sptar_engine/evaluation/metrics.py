"""Rankings against judgements: trec_eval's measures, by ir-measures over pytrec-eval-terrier."""

from __future__ import annotations

from typing import Any

import ir_measures
from ir_measures import AP, RR, Judged, R, nDCG

from sptar_engine.errors import InputError
from sptar_engine.records import Metrics, Qrels, Rankings

MEASURES = ("nDCG@10", "RR@10", "R@100", "AP", "Judged@10")
"""In the order in which they are shown. The first one decides."""


def measure(qrels: Qrels, rankings: Rankings, min_grade: int = 1) -> Metrics:
    """Return the five MEASURES, each per query and as the mean over the queries, within 0 to 1.

    Counted are the queries of `qrels` with a document of grade `min_grade` or more; one without hits scores 0, and
    rankings of other queries are left out. nDCG has trec_eval's linear gain: grade 2 counts twice grade 1, whatever
    `min_grade` is, and an unjudged document counts as grade 0. RR, R and AP ask for `min_grade`. AP reads the whole
    ranking. Judged is the share of the first 10 hits that were judged with any grade.

    Hits count in the order in which they are given. Raises InputError when no query has a relevant document.
    """
    judged = {query_id: grades for query_id, grades in qrels.grades.items() if qrels.relevant(query_id, min_grade)}
    if not judged:
        raise InputError(f"No judged query has a document of grade {min_grade} or more, so nothing can be measured.")
    # pytrec_eval fails on negative grades, which TREC gives to spam; they gain nothing, as a 0 does.
    gains = {query_id: {doc: max(0, grade) for doc, grade in row.items()} for query_id, row in judged.items()}
    names = dict(zip(_measures(min_grade), MEASURES, strict=True))
    per_query: dict[str, dict[str, float]] = {name: dict.fromkeys(judged, 0.0) for name in MEASURES}
    for metric in ir_measures.iter_calc(list(names), gains, _run(rankings, judged)):
        per_query[names[metric.measure]][metric.query_id] = float(metric.value)
    mean = {name: sum(values.values()) / len(values) for name, values in per_query.items()}
    return Metrics(mean, per_query)


def _measures(min_grade: int) -> list[Any]:
    rel = {"rel": min_grade}
    return [nDCG @ 10, RR(**rel) @ 10, R(**rel) @ 100, AP(**rel), Judged @ 10]


def _run(rankings: Rankings, judged: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The rankings with strictly falling scores: trec_eval orders equal scores by falling document id, we do not."""
    return {
        query_id: {hit.doc_id: -float(place) for place, hit in enumerate(hits)}
        for query_id, hits in rankings.items()
        if query_id in judged and hits  # ir-measures divides by the number of hits
    }
