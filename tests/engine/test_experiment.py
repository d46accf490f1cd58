"""The plan of an experiment: what is shared, what is not, and in which order."""

from collections.abc import Mapping
from typing import Any

import pytest

from sptar_engine import experiment
from sptar_engine.arms import ARMS, FAMILIES, STANDARD_ARMS, Variant, cell, parse_arms, parse_families, read_cell
from sptar_engine.configs import CONFIGS, StageConfig
from sptar_engine.errors import ConfigError, InputError
from sptar_engine.experiment import everywhere, merge, plan, settled
from sptar_engine.pipeline import StageResult, Store
from sptar_engine.registry import STAGES
from sptar_engine.steps import Step

TEACHERS: tuple[str, ...] = CONFIGS["teach"].__dataclass_fields__["teacher"].metadata["choices"]
TRAINED = tuple(name for name, family in FAMILIES.items() if family.trains)


def taught_by(teacher: str) -> dict[str, dict[str, Any]]:
    return merge({"train": {"negatives": 2}, "teach": {"teacher": teacher, "hits": 16}})


def by_id(steps: tuple[Step, ...]) -> dict[str, Step]:
    found = {step.step_id: step for step in steps}
    assert len(found) == len(steps)
    return found


def values(step: Step) -> Mapping[str, Any]:
    return step.config.as_dict()


def test_all_arms_share_prepare_and_only_sptar_tunes() -> None:
    steps = by_id(plan(tuple(ARMS), merge()))
    assert steps["prepare"].arms == tuple(ARMS)
    assert steps["tune"].arms == ("sptar",)
    assert "tune" in steps["select.sptar"].inputs
    assert "tune" not in steps["select.inpars"].inputs
    assert steps["select.sptar"].config == steps["select.inpars"].config
    assert "filter" not in steps["train.seeds_only"].inputs
    assert values(steps["evaluate.bm25"])["retriever"] == "bm25"


@pytest.mark.parametrize("decisions", [False, True])
@pytest.mark.parametrize("teacher", TEACHERS)
def test_every_input_comes_from_an_earlier_step_and_is_one_the_stage_takes(teacher, decisions) -> None:
    known = {"dataset", "decisions"}
    more = {} if decisions else {"equal_pairs": True}
    steps = plan(tuple(ARMS), taught_by(teacher), families=tuple(FAMILIES), seeds=2, decisions=decisions, **more)
    for step in by_id(steps).values():
        spec = STAGES[step.stage]
        assert set(spec.needs) <= set(step.inputs) <= {*spec.needs, *spec.takes}, step
        assert {*step.inputs.values(), *step.equal} <= known, step
        known.add(step.step_id)


@pytest.mark.parametrize("teacher", TEACHERS)
def test_no_work_is_planned_twice(teacher) -> None:
    steps = plan(tuple(ARMS), taught_by(teacher), families=tuple(FAMILIES), seeds=3)
    work = [(step.stage, step.config, frozenset(step.inputs.items()), step.equal) for step in steps]
    assert len(set(work)) == len(work)


@pytest.mark.parametrize("family", TRAINED)
@pytest.mark.parametrize("teacher", TEACHERS)
def test_teacher_learns_from_the_same_data_and_scores_before_its_student_learns(teacher, family) -> None:
    steps = by_id(plan(("sptar",), taught_by(teacher), families=(family,)))
    student = steps[f"train.{cell('sptar', family)}"]
    assert student.inputs["filter"] == "filter.sptar" and student.inputs["mine"] == "mine.sptar"
    has_none = teacher == "hybrid" and family not in ("bi_encoder", "adapter")
    if teacher == "none" or teacher == family == "cross_encoder" or has_none:
        assert "teach" not in student.inputs and "teach.sptar" not in steps
        return
    teach = steps[student.inputs["teach"]]
    if teacher == "hybrid":
        assert dict(teach.inputs) == {"prepare": "prepare", "filter": "filter.sptar"}
        return
    assert (teach.inputs["mine"], teach.inputs["filter"]) == ("mine.sptar", "filter.sptar")
    if teacher == "likelihood":
        assert (teach.inputs["select"], teach.inputs["tune"]) == ("select.sptar", "tune")
        assert "train" not in teach.inputs
    else:
        first = steps[teach.inputs["train"]]
        assert first.family == ("cross_encoder" if teacher == "cross_encoder" else family)
        assert "teach" not in first.inputs and first.inputs["filter"] == "filter.sptar"


@pytest.mark.parametrize("teacher", TEACHERS)
def test_what_an_arm_learns_from_does_not_depend_on_the_other_families_and_arms_of_the_grid(teacher) -> None:
    whole = by_id(plan(tuple(ARMS), taught_by(teacher), families=tuple(FAMILIES), seeds=2))
    for family in FAMILIES:
        alone = by_id(plan(("sptar",), taught_by(teacher), families=parse_families(family)))
        for step_id, step in alone.items():
            if step.stage == "package":  # says how its model is put together with BM25 where that is compared
                assert step.inputs.items() <= whole[step_id].inputs.items()
            else:
                assert (whole[step_id].config, whole[step_id].inputs) == (step.config, step.inputs)


def test_bi_encoder_without_negatives_reads_no_mined_documents_beside_a_cross_encoder_that_does() -> None:
    steps = by_id(plan(("seeds_only",), merge(), families=("bi_encoder", "cross_encoder")))
    assert "mine" not in steps["train.seeds_only"].inputs
    assert "mine" in steps["train.seeds_only/cross_encoder"].inputs


def test_arm_without_a_prompt_has_no_teacher_when_the_likelihood_teaches() -> None:
    steps = by_id(plan(("seeds_only", "inpars"), taught_by("likelihood")))
    assert "teach.seeds_only" not in steps and "teach" not in steps["train.seeds_only"].inputs
    assert steps["teach.inpars"].inputs["select"] == "select.inpars"
    assert "tune" not in steps["teach.inpars"].inputs


def test_likelihood_teaches_all_trainings_at_once_and_a_trained_teacher_each_its_own() -> None:
    both = {"families": ("bi_encoder", "late_interaction"), "seeds": 2}
    once = by_id(plan(("inpars",), taught_by("likelihood"), **both))
    assert [step_id for step_id in once if step_id.startswith("teach.")] == ["teach.inpars"]
    each = by_id(plan(("inpars",), taught_by("cross_encoder"), **both))
    assert [step_id for step_id in each if step_id.startswith("teach.")] == ["teach.inpars", "teach.inpars.2"]
    assert each["teach.inpars.2"].inputs["train"] == "train.inpars/cross_encoder.2"
    assert values(each["train.inpars/cross_encoder.2"])["seed"] == values(each["train.inpars.2"])["seed"]


def test_baselines_come_before_anything_slow_and_the_grid_is_filled_family_by_family() -> None:
    families = ("bi_encoder", "late_interaction", "hybrid")
    steps = plan(STANDARD_ARMS, merge(), families=families)
    cells = [step.cell for step in steps if step.stage == "evaluate"]
    trained = ["seeds_only", "inpars", "sptar"]
    later = [f"{arm}/{family}" for family in families[1:] for arm in trained]
    assert cells == ["bm25", "zero_shot", "zero_shot/hybrid", *trained, *later]
    order = [step.step_id for step in steps]
    assert order[:3] == ["prepare", "evaluate.bm25", "evaluate.zero_shot"]
    assert order[-2:] == ["package.sptar", "package.sptar/late_interaction"]
    long = plan(STANDARD_ARMS, merge({"package": {"name": "n" * 60}}), families=families)
    assert values(long[-1])["name"] == "n" * 47 + "-late-interaction"
    # Unpacked in one place, they do not meet.
    assert [values(step)["name"] for step in steps[-2:]] == ["retriever", "retriever-late-interaction"]


def test_hybrids_are_made_of_the_bi_encoder_and_stand_against_the_untrained_hybrid() -> None:
    steps = by_id(plan(("zero_shot", "sptar"), merge(), families=parse_families("hybrid"), seeds=2))
    assert steps["fuse.sptar/hybrid.2"].inputs == {"prepare": "prepare", "train": "train.sptar.2"}
    assert steps["evaluate.sptar/hybrid.2"].inputs["fuse"] == "fuse.sptar/hybrid.2"
    assert values(steps["evaluate.sptar/hybrid"])["retriever"] == "hybrid"
    assert steps["fuse.zero_shot/hybrid"].inputs == {"prepare": "prepare"}
    assert "package.sptar/hybrid" not in steps
    packed = steps["package.sptar"].inputs
    assert (packed["fuse"], packed["together"]) == ("fuse.sptar/hybrid", "evaluate.sptar/hybrid")
    alone = by_id(plan(("zero_shot", "sptar"), merge()))["package.sptar"].inputs
    assert not {"fuse", "together"} & alone.keys()


def test_seeds_train_each_arm_with_consecutive_seeds() -> None:
    steps = plan(("seeds_only",), merge({"train": {"seed": 5}}), seeds=3)
    assert [values(step)["seed"] for step in steps if step.stage == "train"] == [5, 6, 7]
    assert sum(step.stage == "evaluate" for step in steps) == 3


def test_decisions_go_only_to_arms_with_weak_queries() -> None:
    steps = plan(("seeds_only", "sptar"), merge({"train": {"negatives": 2}}), decisions=True)
    with_decisions = [step.step_id for step in steps if "decisions" in step.inputs]
    assert with_decisions == ["mine.sptar", "train.sptar"]


def test_arms_are_ordered_and_unknown_ones_named() -> None:
    assert parse_arms("sptar, bm25") == ("bm25", "sptar")
    with pytest.raises(ConfigError, match="'spat' is not an arm"):
        parse_arms("spat")
    with pytest.raises(ConfigError, match="at least one arm"):
        parse_arms(" ,")


def test_families_are_ordered_unknown_ones_named_and_a_hybrid_brings_its_bi_encoder() -> None:
    assert parse_families("cross_encoder,bi_encoder") == ("bi_encoder", "cross_encoder")
    assert parse_families("hybrid") == ("bi_encoder", "hybrid")
    with pytest.raises(ConfigError, match="'colbert' is not a family"):
        parse_families("colbert")
    with pytest.raises(ConfigError, match="at least one family"):
        parse_families("")


@pytest.mark.parametrize("family", ["", *FAMILIES])
@pytest.mark.parametrize("variant", ["", "equal_pairs"])
def test_name_of_a_cell_reads_as_the_cell(family, variant) -> None:
    one = read_cell(cell("sptar", family, variant))
    assert (one.arm, one.family, one.variant) == ("sptar", family or "bi_encoder", variant)


def test_later_settings_win() -> None:
    merged = merge({"tune": {"epochs": 3, "seed": 1}}, {"tune": {"epochs": 4}})
    assert merged["tune"] == {"epochs": 4, "seed": 1}


def test_arms_own_settings_lie_over_the_presets_and_what_was_asked_for_over_both() -> None:
    preset = {"select": {"examples": 2, "candidates": 5}}
    steps = by_id(plan(("inpars", "promptagator"), preset, asked={"filter": {"top_k": 7}}))
    assert values(steps["select.inpars"])["examples"] == 2
    assert values(steps["select.promptagator"])["examples"] == 8
    assert values(steps["select.promptagator"])["candidates"] == 5
    assert values(steps["filter.promptagator"])["method"] == "round_trip"
    assert {values(steps[f"filter.{arm}"])["top_k"] for arm in ("inpars", "promptagator")} == {7}
    four = by_id(plan(("promptagator",), preset, asked={"select": {"examples": 4}}))
    assert values(four["select.promptagator"])["examples"] == 4


def test_a_value_everywhere_reaches_only_stages_that_have_it() -> None:
    settings = everywhere(dtype="bfloat16", threads=2)
    assert settings["tune"] == {"dtype": "bfloat16", "threads": 2}
    assert settings["train"] == {"threads": 2}
    assert settings["prepare"] == {}


def test_variant_repeats_only_what_its_settings_change() -> None:
    variants = (Variant("sptar", "without_interpolation", {"train": {"mixes": "1.0"}}),)
    steps = by_id(plan(("zero_shot", "sptar"), merge(), variants=variants))
    assert {name for name in steps if ":" in name} == {
        "train.sptar:without_interpolation", "evaluate.sptar:without_interpolation",
    }  # fmt: skip
    assert steps["train.sptar:without_interpolation"].inputs == steps["train.sptar"].inputs
    assert steps["evaluate.sptar:without_interpolation"].cell == "sptar:without_interpolation"
    assert steps["prepare"].arms == ("zero_shot", "sptar")


def test_variant_of_an_early_setting_repeats_all_that_follows_and_is_not_packed() -> None:
    variants = (Variant("sptar", "longer", {"tune": {"epochs": 9}}),)
    steps = by_id(plan(("sptar",), merge(), variants=variants))
    assert [name for name in steps if ":longer" in name] == [
        "tune:longer", "select.sptar:longer", "generate.sptar:longer", "filter.sptar:longer", "train.sptar:longer",
        "evaluate.sptar:longer",
    ]  # fmt: skip
    assert steps["generate.sptar:longer"].inputs["tune"] == "tune:longer"


def test_variant_that_changes_nothing_still_has_a_cell() -> None:
    steps = plan(("sptar",), merge(), variants=(Variant("sptar", "same"),))
    assert [step.cell for step in steps if step.stage == "evaluate"] == ["sptar", "sptar:same"]


def test_equal_pairs_train_every_writing_arm_once_more_limited_by_the_smallest_filter() -> None:
    steps = by_id(plan(STANDARD_ARMS, merge(), equal_pairs=True))
    limited = {name: step.equal for name, step in steps.items() if step.equal}
    filters = ("filter.inpars", "filter.sptar")
    assert limited == {"train.inpars:equal_pairs": filters, "train.sptar:equal_pairs": filters}
    assert steps["train.sptar:equal_pairs"].inputs == steps["train.sptar"].inputs


def test_number_of_pairs_is_settled_when_the_filters_are_done_and_the_smallest_keeps_its_settings() -> None:
    steps = by_id(plan(STANDARD_ARMS, merge(), equal_pairs=True))
    kept = {"filter.inpars": 475, "filter.sptar": 634}
    assert settled(steps["train.sptar:equal_pairs"], kept).as_dict()["weak_limit"] == 475
    assert settled(steps["train.inpars:equal_pairs"], kept) == steps["train.inpars"].config
    assert settled(steps["train.sptar"], {}) == steps["train.sptar"].config
    lower = by_id(plan(STANDARD_ARMS, merge({"train": {"weak_limit": 100}}), equal_pairs=True))
    assert settled(lower["train.sptar:equal_pairs"], kept).as_dict()["weak_limit"] == 100
    with pytest.raises(InputError, match="filter of the arm inpars kept no query, so there is no equal number"):
        settled(steps["train.sptar:equal_pairs"], {**kept, "filter.inpars": 0})


def test_equal_pairs_without_any_pair_are_refused_before_a_training(monkeypatch, tmp_path) -> None:
    done: list[str] = []

    def run_stage(config: StageConfig, *_: Any, **__: Any) -> StageResult:
        done.append(config.STAGE)
        kept = {"kept": 0 if done.count("filter") == 2 else 9}
        return StageResult(config.STAGE, tmp_path, kept, 1.0, "", reused=False)

    monkeypatch.setattr(experiment, "run_stage", run_stage)
    steps = plan(("seeds_only", "inpars", "sptar"), merge(), equal_pairs=True)
    with pytest.raises(InputError, match="filter of the arm sptar kept no query"):
        experiment.run(
            steps, {"dataset": tmp_path}, Store(root=tmp_path, models=tmp_path), done={}, device="cpu",
            report=lambda *_: None, should_stop=lambda: False, started=lambda _: None, finished=lambda *_: None,
        )  # fmt: skip
    assert done[-1] == "filter" and done.count("train") <= 1  # that of the labels alone


def test_teacher_of_an_arm_at_equal_pairs_learns_from_no_more_than_its_student() -> None:
    steps = by_id(plan(STANDARD_ARMS, taught_by("cross_encoder"), equal_pairs=True))
    teach = steps[steps["train.sptar:equal_pairs"].inputs["teach"]]
    assert steps[teach.inputs["train"]].equal == ("filter.inpars", "filter.sptar")


@pytest.mark.parametrize(
    ("arms", "more", "message"),
    [
        (("seeds_only", "sptar"), {"equal_pairs": True}, "name two of them with --arms"),
        (("inpars", "sptar"), {"equal_pairs": True, "decisions": True}, "without --decisions"),
    ],
)
def test_equal_pairs_that_mean_nothing_are_refused(arms, more, message) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(arms, merge(), **more)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": {"max_length": 128}}, r"train\.max_length: must be the same as evaluate"),
        ({"prepare": {"min_grade": 2}}, r"prepare\.min_grade: must be the same as evaluate"),
        ({"fuse": {"b": 0.75}}, r"fuse\.b: must be the same as evaluate"),
        ({"fuse": {"dev_pool": 100}}, r"train\.dev_pool: must be the same as fuse"),
        ({"teach": {"teacher": "self", "rerank_depth": 9}}, r"teach\.rerank_depth: must be the same as evaluate"),
        ({"train": {"base": "x"}}, "one model for all stages, not all-minilm-l6-v2 and x; use --base NAME"),
        ({"tune": {"model": "x"}}, "use --llm NAME"),
        ({"train": {"negatives": 9}, "mine": {"count": 8}}, r"mine\.count: 8 .* fewer than the 9"),
        ({"mine": {"skip": 100}}, r"mine\.skip: 100 passes over all of the 100 hits"),
        ({"train": {"k1": 2.0}}, r"train\.k1: must be the same as evaluate"),
        ({"teach": {"teacher": "self", "b": 0.9}}, r"teach\.b: must be the same as evaluate"),
        (
            {"teach": {"teacher": "hybrid", "hits": 17}},
            r"teach\.hits: 17 documents .* at most 16 are allowed with train",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(tuple(ARMS), merge({"train": {"negatives": 2}}, settings), families=tuple(FAMILIES))


def test_cross_encoder_needs_negatives_enough() -> None:
    with pytest.raises(ConfigError, match=r"mine\.count: 3 .* fewer than the 4"):
        plan(("seeds_only",), merge({"mine": {"count": 3}}), families=("cross_encoder",))


def test_teacher_of_many_documents_teaches_the_queries_side_and_adapters() -> None:
    many = {"teach": {"teacher": "hybrid", "hits": 100}}
    assert plan(("sptar",), merge(many, {"train": {"towers": "query"}}))
    assert plan(("sptar",), merge(many), families=("adapter",))
    assert plan(("sptar",), merge({"teach": {"teacher": "hybrid", "hits": 16}}))


def test_options_that_nothing_looks_at_need_not_agree() -> None:
    assert plan(("sptar",), merge({"evaluate": {"k1": 2.0, "b": 0.9}}))
    assert plan(("sptar",), merge({"teach": {"teacher": "hybrid", "hits": 16, "model": "another"}}))


def test_options_of_stages_that_take_no_part_need_not_agree() -> None:
    short = {"train": {"max_length": 64}, "evaluate": {"max_length": 64}}
    assert plan(("sptar",), merge(short))
    with pytest.raises(ConfigError, match=r"fuse\.max_length"):
        plan(("sptar",), merge(short), families=("bi_encoder", "hybrid"))


def test_language_model_that_teaches_reads_documents_as_it_writes_not_as_a_retriever_does() -> None:
    assert plan(("sptar",), merge(taught_by("likelihood"), {"teach": {"max_length": 64}}))
    with pytest.raises(ConfigError, match=r"teach\.max_length"):
        plan(("sptar",), merge(taught_by("cross_encoder"), {"teach": {"max_length": 64}}))
    # The hits that it is examined on are found as everywhere else.
    with pytest.raises(ConfigError, match=r"teach\.k1"):
        plan(("sptar",), merge(taught_by("likelihood"), {"teach": {"k1": 2.0}}))
