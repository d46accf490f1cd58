"""BM25 and the base together: the field of a query, the weights, and what is taught."""

import pytest

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.configs import PrepareConfig
from sptar_engine.data.beir import qrels_path, read_qrels
from sptar_engine.data.seeds import read_seeds, seeds_path
from sptar_engine.errors import Cancelled
from sptar_engine.records import Metrics
from sptar_engine.stages import prepare as prepare_stage
from sptar_engine.training import fields, hybrid_teacher
from sptar_engine.training.fields import SecondLook, Weights
from sptar_engine.training.hybrid_teacher import Together, learn_together, lesson_rows
from sptar_engine.training.parts import Parts
from tests.engine.training.two_small_searches import Searches


def test_lesson_is_in_cosines_the_own_document_always_in_it(tmp_path) -> None:
    ticks = []
    rows = _lesson(Searches(), {"q": "lift"}, tmp_path, lambda *tick: ticks.append(tick))
    # d1: 0.9; d3: 0.1 + 5 / 10; d2, which neither finds first, is the query's own: 0.5 + 0.25 * 5 / 10.
    assert rows == [{"query_key": "q", "doc_ids": ["d1", "d2"], "scores": [0.9, 0.625], "unit": "cosine"}]
    assert ticks == [(1, 1, "training queries have their lesson")]


def test_stopped_lesson_goes_on_behind_its_last_whole_part(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fields, "_CHUNK", 2)
    searches, queries, asked = Searches(), dict.fromkeys("abcde", "lift"), []
    plainly = searches.encode

    def encode(texts):
        asked.append(len(texts))
        return plainly(texts)

    def stop(done, total, message):
        if done == 4:
            raise Cancelled(message)

    monkeypatch.setattr(searches, "encode", encode)
    with pytest.raises(Cancelled):
        _lesson(searches, queries, tmp_path / "stopped", stop)
    after = _lesson(searches, queries, tmp_path / "stopped", lambda *_: None)
    assert asked == [2, 2, 1]
    assert after == _lesson(Searches(), queries, tmp_path / "undisturbed", lambda *_: None)


def _lesson(searches, queries, folder, tick, again=None):
    together = Together(Weights(10.0, 5.0), again, 0.6, 0.5, 4)
    own = {key: ["d2"] for key in queries}
    return list(lesson_rows(together, searches, queries, own, 1, Parts(folder), tick))


def test_lesson_of_a_second_look_is_in_cosines_of_the_moved_vector(tmp_path) -> None:
    again = SecondLook(Weights(10.0, 0.0), 1, 1.0)
    (row,) = _lesson(Searches(), {"q": "lift"}, tmp_path, lambda *_: None, again)
    # Halfway to d1, whose cosine with the query is 0.9, the cosine is the root of (1 + 0.9) / 2.
    assert row["doc_ids"][0] == "d1" and row["scores"][0] == pytest.approx(0.95**0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "scores", "looks", "teaches", "other"),
    [
        (3, (0.6, 0.5), 1, True, None),
        (3, (0.4, 0.5, 0.6, 0.5), 2, True, 0.4),
        (3, (0.4, 0.5, 0.45, 0.5), 2, False, 0.45),
        (0, (0.5, 0.5), 1, False, None),
    ],
    ids=["first teaches", "second teaches", "neither", "not asked for"],
)
def test_second_look_is_tried_where_the_first_teaches_nothing(
    toy_dataset, make_context, monkeypatch, asked, scores, looks, teaches, other
) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(), context)
    looked, measured = [], iter(scores)  # of each look, with both searches and with the base's cosines alone
    plain, moved = Weights(10.0, 1.0), Weights(11.0, 1.0)
    again = SecondLook(plain, 3, 0.5)

    def spy(searches, queries, count, known, look=None):
        looked.append(look)
        return ()

    monkeypatch.setattr(hybrid_teacher, "survey", spy)
    monkeypatch.setattr(hybrid_teacher, "measure", lambda *_: Metrics({"nDCG@10": next(measured)}, {}))
    monkeypatch.setattr(hybrid_teacher, "fit_weights", lambda *_: moved if looked[-1] else plain)
    together = learn_together(Searches(), context.out_dir, 10, asked)
    assert (together.teaches, together.base_score, together.other) == (teaches, 0.5, other)
    # Each look is at the training queries, then at the held-out ones.
    assert looked == [None, None, *([again, again] if looks == 2 else [])]
    expected = (moved, again) if looks == 2 and teaches else (plain, None)
    assert (together.weights, together.again) == expected


def test_weights_are_fitted_to_answers_from_the_least_grade_on(toy_dataset, make_context, monkeypatch) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(), context)
    seeds = read_seeds(context.out_dir, "train")
    first = next(iter(seeds))
    grades = read_qrels(context.out_dir, "train").grades[first]
    other = next(row["_id"] for row in read_jsonl(context.out_dir / "corpus.jsonl") if row["_id"] not in grades)
    with qrels_path(context.out_dir, "train").open("a") as stream:  # judged, and below prepare.min_grade
        stream.write(f"{first}\t{other}\t1\n")
    fitted = []
    monkeypatch.setattr(hybrid_teacher, "survey", lambda *_: ())
    monkeypatch.setattr(hybrid_teacher, "measure", lambda *_: Metrics({"nDCG@10": 0.5}, {}))
    monkeypatch.setattr(
        hybrid_teacher, "fit_weights", lambda fields, answers: fitted.append(answers) or Weights(10.0, 0.0)
    )
    learn_together(Searches(), context.out_dir, 10, 0)
    assert fitted == [{key: [pair.document.doc_id for pair in pairs] for key, pairs in seeds.items()}]


def test_held_out_query_whose_answers_are_below_the_least_grade_is_no_part_of_the_exam(
    toy_dataset, make_context, monkeypatch
) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(min_grade=2), context)
    dev = read_qrels(context.out_dir, "dev").grades
    first = next(iter(dev))
    rows = [row for row in read_jsonl(seeds_path(context.out_dir, "dev")) if row["query_id"] != first]
    write_jsonl(seeds_path(context.out_dir, "dev"), rows)
    lines = [
        f"{query_id}\t{doc_id}\t{min(grade, 1) if query_id == first else grade}"
        for query_id, grades in dev.items()
        for doc_id, grade in grades.items()
    ]
    path = qrels_path(context.out_dir, "dev")
    path.write_text("\n".join([path.read_text().splitlines()[0], *lines]) + "\n")
    asked = []
    monkeypatch.setattr(hybrid_teacher, "survey", lambda searches, queries, *_: asked.extend(queries) or ())
    monkeypatch.setattr(hybrid_teacher, "measure", lambda *_: Metrics({"nDCG@10": 0.5}, {}))
    monkeypatch.setattr(hybrid_teacher, "fit_weights", lambda *_: Weights(10.0, 0.0))
    together = learn_together(Searches(), context.out_dir, 10, 0)
    assert together.dev_queries == len(dev) - 1 and first not in asked and set(dev) - {first} <= set(asked)


def test_held_out_queries_without_a_relevant_document_are_not_counted(toy_dataset, make_context, monkeypatch) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(), context)
    path = qrels_path(context.out_dir, "dev")
    dev = read_qrels(context.out_dir, "dev").grades
    first, document = next((query, doc_id) for query, grades in dev.items() for doc_id in grades)
    kept = [line for line in path.read_text().splitlines() if not line.startswith(f"{first}\t")]
    path.write_text("\n".join([*kept, f"{first}\t{document}\t0"]) + "\n")
    monkeypatch.setattr(hybrid_teacher, "survey", lambda *_: ())
    monkeypatch.setattr(hybrid_teacher, "fit_weights", lambda *_: Weights(10.0, 0.0))
    assert learn_together(Searches(), context.out_dir, 10, 0).dev_queries == len(dev) - 1


def test_sentence_says_who_is_better() -> None:
    better, worse = Together(Weights(1, 1), None, 0.6, 0.5, 40), Together(Weights(1, 0), None, 0.5, 0.5, 40)
    assert better.teaches and not worse.teaches
    assert better.sentence(684) == (
        "BM25 and the untrained retriever together teach the order of documents for 684 training queries: on 40 "
        "held-out queries they reach nDCG@10 0.600 together, the untrained retriever alone 0.500."
    )
    failed = Together(Weights(1, 1), None, 0.4, 0.5, 40, other=0.45)
    assert "reach nDCG@10 0.400 together (0.450 with a second look), the untrained" in failed.sentence(0)
    twice = Together(Weights(1, 1), SecondLook(Weights(1, 1), 3, 0.5), 0.6, 0.5, 40, other=0.5)
    assert "reach nDCG@10 0.600 together (0.500 with one look), the untrained" in twice.sentence(684)
    assert twice.sentence(684).startswith(
        "BM25 and the untrained retriever together, looking a second time with queries moved towards the first 3 "
        "documents, teach the order of documents for 684 training queries: on 40 held-out queries"
    )
    assert worse.sentence(0).startswith("BM25 and the untrained retriever do not teach, and training goes on without")
