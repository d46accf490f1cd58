"""teach: let a teacher score documents of every training query, for a student to learn its order.

The teacher is examined first: it puts BM25's first hits for the held-out queries in order, and one that does it no
better than BM25 does not teach.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.catalog import encoder_folder, language_model_folder
from sptar_engine.configs import TeachConfig
from sptar_engine.data.beir import read_corpus
from sptar_engine.data.mined import read_mined
from sptar_engine.data.taught import SCORES_FILE
from sptar_engine.errors import InputError
from sptar_engine.prompting.prompts import adapter_folder, read_prompts
from sptar_engine.prompting.soft_prompt import load_language_model, prefix
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.prompting.window import check_window
from sptar_engine.records import Document
from sptar_engine.retrieval.encoder import load_cross_encoder
from sptar_engine.retrieval.lexical_ranking import LexicalRanker
from sptar_engine.retrieval.ranking import SearchSpace
from sptar_engine.retrieval.two_searches import TwoSearches
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.development import MEASURE
from sptar_engine.training.hybrid_teacher import learn_together, lesson_rows
from sptar_engine.training.pairs import read_training_set
from sptar_engine.training.parts import Parts
from sptar_engine.training.teachers import CrossEncoderTeacher, LikelihoodTeacher, Teacher, open_retriever
from sptar_engine.training.teaching import Exam, Grades, Scores, choose_documents, read_exam, score_lists

_NAMES = {
    "cross_encoder": "The cross-encoder",
    "likelihood": "The language model's likelihood of a query",
    "self": "The retriever of the first training",
}
_DIGITS = 6  # behind the point


def run(config: TeachConfig, context: StageContext) -> StageOutput:
    """Write scores.jsonl, a row for each training query; no row when the teacher does not teach.

    Raises InputError for a bad decisions file, no pairs, no held-out queries, no query with two documents to compare,
    and an input `train` that holds no retriever; ConfigError for prompts that the language model cannot hold.
    """
    if config.teacher == "hybrid":
        return teach_together(config, context)
    if config.teacher == "none":
        write_jsonl(context.out_dir / SCORES_FILE, ())
        return StageOutput({"teacher": "none", "teaches": False, "sentence": "Nobody teaches: teach.teacher is none."})
    prepare = context.input("prepare")
    texts, lists = _read_lists(config, context)
    prepare_torch(config.seed, config.threads)
    bm25 = LexicalRanker(SearchSpace(dataset=prepare, cache=context.cache, k1=config.k1, b=config.b))
    exam = read_exam(prepare, bm25, config.rerank_depth, context.tick)
    meter = _Meter(context, sum(len(doc_ids) for asked in (exam.lists, lists) for doc_ids in asked.values()))
    ask = partial(score_lists, open_teacher(config, context), read_corpus(prepare), meter.advance)
    grades = exam.grade(ask(Parts(context.scratch / "exam"), exam.queries, exam.lists))
    meter.numbers = {f"dev_{MEASURE}": grades.teacher, f"dev_{MEASURE}_bm25": grades.bm25}
    scores: Scores = ask(Parts(context.scratch / "lesson"), texts, lists) if grades.teaches else {}
    write_jsonl(context.out_dir / SCORES_FILE, _rows(scores, grades.temperature))
    return StageOutput(summarise(config, exam, grades, scores))


def teach_together(config: TeachConfig, context: StageContext) -> StageOutput:
    """The teacher `hybrid`: weigh BM25 and the base on the labelled queries, examine them on held-out ones, teach."""
    prepare = context.input("prepare")
    training_set = read_training_set(prepare, context.inputs.get("filter"), context.inputs.get("decisions"), 0)
    prepare_torch(config.seed, config.threads)
    own: dict[str, list[str]] = {}
    for pair in training_set.pairs:
        own.setdefault(pair.query_key, []).append(pair.doc_id)
    base = encoder_folder(config.base, context.models)
    with TwoSearches(
        prepare, context.cache, base,
        max_length=config.max_length, k1=config.k1, b=config.b, device=context.device, tick=context.tick,
    ) as searches:  # fmt: skip
        together = learn_together(searches, prepare, config.hits, config.feedback)
        taught = training_set.queries if together.teaches else {}
        parts = Parts(context.scratch / "lesson")
        rows = lesson_rows(together, searches, taught, own, config.hits, parts, context.tick)
        write_jsonl(context.out_dir / SCORES_FILE, rows)
    return StageOutput(
        {
            "teacher": config.teacher,
            "teaches": together.teaches,
            f"dev_{MEASURE}": together.score,
            f"dev_{MEASURE}_base": together.base_score,
            "dev_queries": together.dev_queries,
            "weight_cosine": together.weights.cosine,
            "weight_bm25": together.weights.share,
            "feedback_rate": together.again.rate if together.again else 0.0,
            **({} if together.other is None else {f"dev_{MEASURE}_other_look": together.other}),
            "queries": len(taught),
            "documents": sum(len(row["doc_ids"]) for row in read_jsonl(context.out_dir / SCORES_FILE)),
            "sentence": together.sentence(len(taught)),
        }
    )


def summarise(config: TeachConfig, exam: Exam, grades: Grades, scores: Scores) -> dict[str, Any]:
    """The numbers to show and a sentence made of them. `temperature` is what the teacher's scores were divided by."""
    documents = sum(map(len, scores.values()))
    name = _NAMES[config.teacher]
    if grades.teaches:
        found = f"{name} scored {documents:,} documents of {len(scores):,} training queries: it puts"
        against = f"{grades.teacher:.3f} against {grades.bm25:.3f} of BM25's own order"
    else:
        found = f"{name} does not teach, and training goes on without it: it puts"
        against = f"{grades.teacher:.3f}, no better than BM25's own order with {grades.bm25:.3f}"
    return {
        "teacher": config.teacher,
        "teaches": grades.teaches,
        f"dev_{MEASURE}": grades.teacher,
        f"dev_{MEASURE}_bm25": grades.bm25,
        "dev_queries": exam.measured,
        "temperature": grades.temperature,
        "queries": len(scores),
        "documents": documents,
        "sentence": f"{found} BM25's first {config.rerank_depth} documents of {exam.measured:,} held-out queries "
        f"in an order of {MEASURE} {against}.",
    }


def open_teacher(config: TeachConfig, context: StageContext) -> Teacher:
    """The teacher of the settings, from the inputs that it needs."""
    if config.teacher != "likelihood":
        folder = context.input("train") / "model"
        if config.teacher == "self":
            return open_retriever(folder, config.max_length, context.device)
        return CrossEncoderTeacher(load_cross_encoder(folder, config.max_length, context.device))
    prompts = read_prompts(context.input("select"), adapter_folder(context.inputs))
    folder = language_model_folder(config.model, context.models)
    language_model = load_language_model(folder, config.dtype, context.device)
    tokens = PromptTokens(language_model.tokenizer, config.document_tokens, config.query_tokens)
    before = {one.style: prefix(language_model, one.adapter, tokens.before(one)) for one in prompts}
    frame = len(tokens.document(Document("", ""))) + len(tokens.query(""))
    longest = max(one.length for one in before.values())
    needed = longest + frame + config.document_tokens + config.query_tokens
    check_window(language_model, needed, "teach.document_tokens")
    return LikelihoodTeacher(language_model, before, tokens)


def _read_lists(config: TeachConfig, context: StageContext) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """The text of every training query, and the ids of its documents to score."""
    decisions = context.inputs.get("decisions")
    training_set = read_training_set(context.input("prepare"), context.inputs.get("filter"), decisions, 0)
    lists = choose_documents(training_set, read_mined(context.input("mine")), config.documents)
    if not lists:
        raise InputError("No training query has a second document to compare with; a teacher needs hard negatives.")
    return training_set.queries, lists


class _Meter:
    """Progress in pairs of a query and a document, with the grades once they are known."""

    def __init__(self, context: StageContext, total: int) -> None:
        self.numbers: dict[str, float] = {}
        self._context, self._total, self._done = context, total, 0

    def advance(self, pairs: int) -> None:
        """Report that so many more pairs are scored."""
        self._done += pairs
        whose = "training" if self.numbers else "held-out"
        self._context.tick(self._done, self._total, f"documents of {whose} queries scored", **self.numbers)


def _rows(scores: Scores, temperature: float) -> Iterator[dict[str, Any]]:
    for key, known in scores.items():
        calibrated = [round(score / temperature, _DIGITS) for score in known.values()]
        yield {"query_key": key, "doc_ids": list(known), "scores": calibrated}
