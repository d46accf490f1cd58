"""An experiment with finished steps on the disk: small files in the layout of real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from sptar_engine import packaging
from sptar_engine.artifacts import sha256_file, write_json
from sptar_engine.experiment import plan
from sptar_engine.packaging.archive import SUMS, Content, digests, sums, write_archive
from sptar_engine.packaging.card import CardFacts, Measured, Source, Step, write_card, write_requirements
from sptar_engine.presets import Settings
from webapp import places
from webapp.models import Corpus, Document, Experiment, Project, StageRun, State, User, WeakQuery

NOTE = "Our <b>first</b> try\nwith the new examples"
TEST_QUESTION = "what may a *reader* borrow?"
DEMONSTRATION = "The secret text of a demonstration."
MODEL = {
    "config.json": b'{"model_type": "bert"}', "modules.json": b"[]", "model.safetensors": b"weights " * 100,
    "1_Pooling/config.json": b"{}",
}  # fmt: skip
EXAMPLE = (Path(packaging.__file__).parent / "load_example.py").read_bytes()
HYBRID = {"load_example_hybrid.py": b"print('both')", "fusion.json": b'{"weight": 0.5}'}
ADAPTER = {"adapter_config.json": b'{"peft_type": "PROMPT_TUNING"}', "adapter_model.safetensors": b"prompt"}
VERSIONS = {"peft": "0.21.2", "transformers": "5.23.0", "sentence-transformers": "6.2.0", "torch": "2.13.0+cpu"}
ARMS = ["bm25", "zero_shot", "inpars", "sptar"]


def finished_experiment(
    project: Project, owner: User, *, number: int = 1, packed: bool = True, families: Sequence[str] = ("bi_encoder",),
    arms: Sequence[str] = ARMS, asked: Settings | None = None,
) -> Experiment:  # fmt: skip
    """All steps done; with `packed=False` nothing is trained yet."""
    corpus = add_corpus(project)
    experiment = Experiment.objects.create(
        project=project, number=number, request_token=f"token {number}", preset="fast", arms=list(arms), corpus=corpus,
        labels_version=project.labels_version, dataset="0" * 32, started_by=owner, note=NOTE, state=State.DONE,
        families=list(families), name="Winter", counts={"documents": 3, "test": 2},
        comparison={"arms": {"bm25": {"nDCG@10": {"mean": 0.3}}}},
    )  # fmt: skip
    snapshot = places.snapshot_folder(project, experiment.dataset)
    write(snapshot, {
        "queries.jsonl": lines([{"_id": "q1", "text": TEST_QUESTION}, {"_id": "q2", "text": "a training question"}]),
        "qrels/test.tsv": b"query-id\tcorpus-id\tscore\nq1\td1\t1\n",
    })  # fmt: skip
    for position, step in enumerate(plan(arms, {}, families=families, asked=asked)):
        folder = f"{step.step_id.replace('/', '-')}-0123456789abcdef"
        is_done = packed or (step.stage in ("prepare", "evaluate") and "train" not in step.inputs)
        StageRun.objects.create(
            experiment=experiment, position=position, step_id=step.step_id, stage=step.stage, arms=list(step.arms),
            family=step.family, config=step.config.as_dict(), inputs=dict(step.inputs), queue="cpu",
            folder=folder if is_done else "", digest=sha256(folder.encode()).hexdigest(),
            state=State.DONE if is_done else State.WAITING,
        )  # fmt: skip
        if is_done:
            fill(places.store_folder(project) / "stages" / folder, step.stage, has_hybrid="fuse" in step.inputs)
    return experiment


def add_corpus(project: Project) -> Corpus:
    """Three documents, in use."""
    if project.corpus is not None:
        return project.corpus
    corpus = Corpus.objects.create(project=project, number=1, ready=True, documents=3)
    path = places.corpus_folder(corpus) / "corpus.jsonl"
    write(path.parent, {"corpus.jsonl": lines([{"_id": f"d{n}", "title": "T", "text": f"Text {n}"} for n in range(3)])})
    corpus.sha256 = sha256_file(path)
    corpus.save()
    Document.objects.bulk_create(
        Document(corpus=corpus, doc_id=f"d{number}", title="T", text=f"Text {number}") for number in range(3)
    )
    project.corpus = corpus
    project.save()
    return corpus


def add_questions(experiment: Experiment, texts: list[str], step: str = "generate.sptar", **fields: Any) -> None:
    """Generated questions of a step, each for the document d1."""
    fields = {"rank": 1, **fields}
    about = {"project": experiment.project, "batch": experiment.stages.get(step_id=step).folder, "doc_id": "d1"}
    WeakQuery.objects.bulk_create(
        WeakQuery(**about, weak_id=f"w{number}", text=text, **fields) for number, text in enumerate(texts)
    )


def fill(folder: Path, stage: str, *, has_hybrid: bool = False) -> None:
    """The files of a finished step."""
    files: dict[str, bytes] = {}
    if stage == "prepare":
        files = {"qrels/test.tsv": b"query-id\tcorpus-id\tscore\nq1\td1\t1\n"}
    elif stage == "evaluate":
        files = {"run.trec": b"q1 Q0 d1 1 0.5 x\n", "metrics.json": b'{"per_query": {}}'}
    elif stage == "tune":
        tuned = {
            "config": {"virtual_tokens": 50, "model": "smollm2-135m-instruct"}, "versions": VERSIONS,
            "metrics": {"train_queries": 20, "sentence": "Held-out perplexity fell from 49.9 to 28.3."},
        }  # fmt: skip
        files = {f"adapter/{name}": content for name, content in ADAPTER.items()}
        files["result.json"] = json.dumps(tuned).encode()
    elif stage == "select":
        files = {"prompt.json": json.dumps({"examples": [{"text": DEMONSTRATION}]}).encode()}
    elif stage == "train":
        files = {f"model/{name}": content for name, content in MODEL.items()}
    write(folder, files)
    if stage == "package":
        pack(folder, has_hybrid=has_hybrid)


def pack(folder: Path, model: Mapping[str, Content] = MODEL, *, has_hybrid: bool = False) -> None:
    """retriever.zip and package.json, made by the engine's own functions."""
    contents: dict[str, Content] = dict(model)
    contents |= {
        "README.md": write_card(facts()).encode(), "requirements.txt": write_requirements(VERSIONS).encode(),
        "load_example.py": EXAMPLE,
    }  # fmt: skip
    contents |= HYBRID if has_hybrid else {}
    contents[SUMS] = sums(digests(contents))
    archive = folder / "retriever.zip"
    write_archive(archive, "retriever", contents, lambda done, total, name: None)
    listing = {"sha256": sha256_file(archive), "bytes": archive.stat().st_size, "archive": archive.name}
    write_json(folder / "package.json", {**listing, "files": digests(contents), "load_check": {"passed": True}})


def facts() -> CardFacts:
    """What the engine's card says."""
    return CardFacts(
        name="retriever", family="bi_encoder", kept_untrained=False, dimensions=384, max_length=256,
        similarity="cosine", test_queries=2, measured=[Measured("nDCG@10", 0.41, 0.35, 0.47)],
        sources=[Source("base retriever", "all-minilm-l6-v2", "Apache-2.0", "PyPI")],
        steps=[Step("train", "Two epochs.", {"pairs": 100}, {"batch_size": 16})], trained_with=VERSIONS,
        pins={"sentence-transformers": "6.2.0"},
    )  # fmt: skip


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def lines(rows: list[dict[str, Any]]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
