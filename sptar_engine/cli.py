"""The command `sptar`. Exit codes: 0 done, 1 failed, 2 bad usage or input, 130 interrupted."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sptar_engine import ablation, catalog, experiment, prompt_ladder, tables, workspace
from sptar_engine.arms import ARMS, BI_ENCODER, FAMILIES, STANDARD_ARMS, ZERO_SHOT, parse_arms, parse_families
from sptar_engine.campaign import Campaign, Outcome, conduct
from sptar_engine.configs import build_config, parse_overrides
from sptar_engine.errors import Cancelled, ConfigError, InputError, SptarError
from sptar_engine.pipeline import RESULT, StageResult, Store, read_result, run_stage
from sptar_engine.presets import PRESETS
from sptar_engine.registry import STAGES
from sptar_engine.steps import DATASET, DECISIONS
from sptar_engine.terminal import Board
from sptar_engine.training.decisions import read_decisions

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors become one sentence on standard error."""
    arguments = _parser().parse_args(argv)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models never come from the network
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # loading bars would tear up our own
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads ruin each other on a shared machine
    if not sys.warnoptions:
        # What libraries tell each other's developers; `python -W default -m sptar_engine` shows it.
        warnings.simplefilter("ignore", FutureWarning)
    logging.basicConfig(format="sptar: %(message)s")
    logging.getLogger("sptar_engine").setLevel(logging.INFO)
    try:
        command: Callable[[argparse.Namespace], int] = arguments.command
        return command(arguments)
    except (InputError, ConfigError) as error:
        return _complain(error, BAD_INPUT)
    except Cancelled as error:
        return _complain(error, INTERRUPTED)
    except KeyboardInterrupt:
        return _complain("Stopped. Start the same command again to go on.", INTERRUPTED)
    except SptarError as error:
        return _complain(error, FAILED)
    except BrokenPipeError:
        # The reader, such as `head`, has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _complain(f"The system refused: {error.strerror or error}{where}.", FAILED)


def _complain(error: object, code: int) -> int:
    print(f"sptar: {error}", file=sys.stderr)
    return code


def _experiment(arguments: argparse.Namespace) -> int:
    campaign = _campaign(
        arguments, parse_arms(arguments.arms), equal_pairs=arguments.equal_pairs, decisions=arguments.decisions
    )
    outcome = _conduct(campaign)
    tables.print_comparison(outcome.comparison)
    written = {step.arms[0]: step for step in outcome.steps if step.stage == "generate" and not step.variant}
    samples = {arm: outcome.results[step.step_id].metrics["sample_queries"][:3] for arm, step in written.items()}
    tables.print_queries(samples)
    for step in outcome.steps:
        if step.stage == "package":
            archive = next(outcome.results[step.step_id].folder.glob("*.zip"))
            print(f"The trained retriever ({step.family}): {archive}")
    return DONE


def _ablate(arguments: argparse.Namespace) -> int:
    names = ablation.parse_switches(arguments.switches)
    arms = (ZERO_SHOT, *((ablation.WITHOUT_SOFT_PROMPT,) if ablation.SOFT_PROMPT in names else ()), ablation.ARM)
    campaign = _campaign(arguments, arms, place="ablation")
    variants = ablation.variants(names, experiment.merge(campaign.settings, campaign.asked))
    outcome = _conduct(dataclasses.replace(campaign, variants=variants))
    tables.print_comparison(outcome.comparison)
    return DONE


def _prompts(arguments: argparse.Namespace) -> int:
    campaign = _campaign(arguments, parse_arms(arguments.arms), place="prompts")
    settings = experiment.merge(campaign.settings, campaign.asked)
    variants = prompt_ladder.variants(campaign.arms, arguments.prompts, settings)
    outcome = _conduct(dataclasses.replace(campaign, variants=variants))
    tables.print_comparison(outcome.comparison)
    return DONE


def _campaign(
    arguments: argparse.Namespace,
    arms: tuple[str, ...],
    *,
    place: str = "",
    equal_pairs: bool = False,
    decisions: Path | None = None,
) -> Campaign:
    _check_paths(arguments.dataset, decisions)
    return Campaign(
        dataset=arguments.dataset, out=arguments.out, models=arguments.models, preset=arguments.preset, arms=arms,
        families=parse_families(arguments.families), seeds=arguments.seeds, decisions=decisions,
        models_asked=_models_asked(arguments), asked=parse_overrides(arguments.set), place=place,
        equal_pairs=equal_pairs,
    )  # fmt: skip


def _conduct(campaign: Campaign) -> Outcome:
    with _stop_flag() as should_stop:
        return conduct(campaign, should_stop)


def _models_asked(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    asked: dict[str, dict[str, Any]] = {}
    if arguments.llm:
        asked = experiment.everywhere(model=arguments.llm, language_model=arguments.llm)
    if arguments.base:
        asked = experiment.merge(asked, experiment.everywhere(base=arguments.base))
    return asked


def _check_paths(dataset: Path, decisions: Path | None) -> None:
    if not dataset.is_dir():
        raise InputError(f"{dataset} is not a folder; give a dataset in BEIR layout (corpus.jsonl, …).")
    if decisions is not None:
        if not decisions.is_file():
            raise InputError(f"{decisions} is not a file; --decisions takes a JSONL of verdicts.")
        read_decisions(decisions)  # a bad line is said now, not after an hour


def _run(arguments: argparse.Namespace) -> int:
    overrides = parse_overrides(arguments.set)
    for stage in overrides:
        if stage != arguments.stage:
            raise ConfigError(f"{stage}.…", f"this command runs only the stage {arguments.stage}")
    config = build_config(arguments.stage, overrides.get(arguments.stage, {}))
    inputs = _inputs(arguments.inputs, arguments.stage)
    store = Store(root=arguments.out, models=arguments.models)
    board = Board()
    with workspace.occupy(arguments.out), _stop_flag() as should_stop:
        board.begin(arguments.stage)
        try:
            result = run_stage(config, inputs, store, device=_device(), report=board.show, should_stop=should_stop)
        finally:
            board.close()
    print(json.dumps({"folder": str(result.folder), "reused": result.reused, "metrics": dict(result.metrics)}))
    return DONE


def _inputs(paths: Sequence[Path], stage: str) -> dict[str, Path]:
    """The inputs by role: the stage that made a folder, else what only the user can have given."""
    inputs: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; --in takes folders of finished stages, a dataset or decisions.")
        result = None if stage == "prepare" else _finished(path)
        role = result.stage if result else DATASET if stage == "prepare" else DECISIONS
        if role in inputs:
            raise InputError(f"{inputs[role]} and {path} are both {role}; the stage {stage} takes one.")
        inputs[role] = path
    return inputs


def _finished(path: Path) -> StageResult | None:
    if not (path / RESULT).is_file():
        return None
    result = read_result(path)
    if result is None:
        raise InputError(f"{path} is not whole: a file is not what its checksum says; run its stage again.")
    return result


def _device() -> str:
    from sptar_engine.runtime import pick_device

    return pick_device()


def _compare(arguments: argparse.Namespace) -> int:
    comparison = workspace.compare(arguments.out)
    if arguments.json:
        print(json.dumps(comparison))
    else:
        tables.print_comparison(comparison)
    return DONE


def _stages(arguments: argparse.Namespace) -> int:
    del arguments
    for spec in STAGES.values():
        print(f"{spec.name} (version {spec.version}): {spec.help}")
        print(f"  reads {', '.join(spec.needs)}" + (f"; takes {', '.join(spec.takes)}" if spec.takes else ""))
        for field in dataclasses.fields(spec.config):
            print(f"    {spec.name}.{field.name} = {field.default!r}  {field.metadata['help']}{_allowed(field)}")
    return DONE


def _allowed(field: dataclasses.Field[Any]) -> str:
    if field.metadata["choices"]:
        return f" ({', '.join(field.metadata['choices'])})"
    if field.metadata["low"] is not None:
        return f" ({field.metadata['low']:g} to {field.metadata['high']:g})"
    return ""


def _health(arguments: argparse.Namespace) -> int:
    from sptar_engine.data.health import dataset_health

    print(json.dumps(dataset_health(arguments.dataset, models=arguments.models).as_dict(), indent=2))
    return DONE


def _search(arguments: argparse.Namespace) -> int:
    from sptar_engine.retrieval.adhoc import search_folder

    cache = arguments.models.parent / "cache"
    hits = search_folder(
        arguments.dataset, arguments.query, getattr(arguments, "with"), cache, arguments.models, arguments.depth
    )
    for place, (hit, document) in enumerate(hits, 1):
        print(f"{place:3d}  {hit.score:9.4f}  {hit.doc_id}  {' '.join(document.content.split())[:100]}")
    return DONE


def _models_list(arguments: argparse.Namespace) -> int:
    for entry in catalog.entries(arguments.models):
        here = "here" if entry.available else "not on this machine"
        print(f"{entry.name}  {entry.kind}  {entry.licence}  {entry.source}  {here}  {entry.note}".rstrip())
    return DONE


def _models_add(arguments: argparse.Namespace) -> int:
    entry = catalog.add_model(arguments.folder, arguments.models, name=arguments.name, licence=arguments.licence)
    print(f"Added {entry.name} ({entry.kind}, {entry.licence}); use it with {_switch(entry.kind)} {entry.name}")
    return DONE


def _switch(kind: str) -> str:
    return "--llm" if kind == catalog.LANGUAGE_MODEL else "--base"


def _sample(arguments: argparse.Namespace) -> int:
    from sptar_engine.data.sample.builder import write_sample

    report = write_sample(arguments.out)
    splits = ", ".join(f"{count} {split}" for split, count in report.queries.items())
    print(f"{arguments.out}: {report.documents} documents, {splits} queries, {report.pairs} judged pairs.")
    if report.dropped_ids:
        print(f"{len(report.dropped_ids)} answers and {len(report.dropped_queries)} queries are not of this Python.")
    return DONE


@contextmanager
def _stop_flag() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a stop at the next batch; a second one ends at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        print("sptar: stopping after this batch; once more to stop at once", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"sptar: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sptar", description="A search model for your documents from about fifty labelled examples.")
    parser.add_argument("--models", type=Path, default=_default_models(), help="folder of language models and encoders")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_experiments(commands)
    _add_run(commands)
    one = _command(commands, "compare", _compare, "the arms of an experiment, with intervals and verdicts")
    one.add_argument("out", type=Path, metavar="DIR")
    one.add_argument("--json", action="store_true", help="one line of JSON")
    _command(commands, "stages", _stages, "the stages and their options")
    one = _command(commands, "health", _health, "what is in a dataset, and what is odd about it")
    one.add_argument("dataset", type=Path)
    one = _command(commands, "search", _search, "search a dataset's corpus")
    one.add_argument("dataset", type=Path)
    one.add_argument("query")
    one.add_argument("--with", default="bm25", metavar="bm25|MODEL", help="bm25, a model's name or its folder")
    one.add_argument("--depth", type=_count, default=10, help="hits to show")
    _add_models(commands)
    one = _command(commands, "sample", _sample, "write the sample dataset, Python standard library help")
    one.add_argument("out", type=Path, metavar="OUT")
    return parser


def _add_experiments(commands: Any) -> None:
    one = _command(commands, "experiment", _experiment, "the whole way, for several arms, and the comparison")
    one.add_argument("--arms", default=",".join(STANDARD_ARMS), help=f"what to compare: {', '.join(ARMS)}")
    one.add_argument("--equal-pairs", action="store_true", help="compare arms at an equal number of weak pairs as well")
    # Verdicts are on the queries of one prompt, so there is no place for them where prompts are compared.
    one.add_argument("--decisions", type=Path, metavar="FILE", help="verdicts on weak queries, JSONL")
    _add_order(one)
    one = _command(commands, "ablate", _ablate, "what each part is worth: one switch at a time against the preset")
    one.add_argument(
        "--switches", default=",".join(ablation.NAMES), help=f"what to switch: {', '.join(ablation.NAMES)}"
    )
    _add_order(one)
    one = _command(commands, "prompts", _prompts, "several prompts, best to worst by perplexity, and their retrievers")
    one.add_argument("--arms", default=ablation.ARM, help="whose prompts: inpars, promptagator, sptar")
    one.add_argument("--prompts", type=_count, default=6, metavar="N", help="how many, the best one included")
    _add_order(one)


def _add_order(one: Any) -> None:
    one.add_argument("dataset", type=Path)
    one.add_argument("--out", type=Path, required=True, help="folder for everything; start again to go on")
    one.add_argument("--preset", choices=list(PRESETS), default="balanced", help="ready-made settings")
    one.add_argument("--families", default=BI_ENCODER, help=f"kinds of retrievers: {', '.join(FAMILIES)}")
    one.add_argument("--seeds", type=_count, default=1, metavar="N", help="train every arm N times")
    one.add_argument("--llm", metavar="NAME", help="language model for all stages")
    one.add_argument("--base", metavar="NAME", help="base retriever for all stages")
    one.add_argument("--set", action="append", default=[], metavar="STAGE.FIELD=VALUE", help="see `sptar stages`")


def _add_run(commands: Any) -> None:
    one = _command(commands, "run", _run, "one stage")
    one.add_argument("stage", choices=list(STAGES))
    one.add_argument("--in", dest="inputs", type=Path, nargs="+", default=[], metavar="DIR", help="finished stages")
    one.add_argument("--out", type=Path, required=True, help="folder of the store")
    one.add_argument("--set", action="append", default=[], metavar="STAGE.FIELD=VALUE", help="see `sptar stages`")


def _add_models(commands: Any) -> None:
    models = commands.add_parser("models", help="the models that may be used")
    inner = models.add_subparsers(required=True, metavar="list|add")
    _command(inner, "list", _models_list, "names, licences, and what is on this machine")
    one = _command(inner, "add", _models_add, "put a folder with safetensors weights on the list")
    one.add_argument("folder", type=Path)
    one.add_argument("--name", help="the name it gets (the folder's by default)")
    one.add_argument("--licence", help="its licence, when its README does not say")


def _command(commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str) -> Any:
    one = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    one.set_defaults(command=function)
    return one


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)


def _default_models() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("SPTAR_MODELS") or Path(home) / "sptar" / "models")
