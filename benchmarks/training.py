"""Seconds until a trained bi-encoder is as good on held-out queries: our loop against plain sentence-transformers.

    DATASETS=… python -m benchmarks.training --json

All sides start from the bundled base and the same pairs: the labelled ones of Cranfield (of the sample without
$DATASETS), and weak ones that the language model writes with a hard prompt and the BM25 filter keeps, as in the arm
`inpars`. `--experiment DIR` takes those that the arm `sptar` of a finished experiment was trained on, with its dataset.
Each run is a process of its own (benchmarks/training_sides.py), and the sides take turns:

- `ours`: the preset `balanced`. Its seconds contain what the teacher does before, from the index on.
- `ours_both_towers`: our loop with the loss and the pairs of the other side, batches of like length without conflicts.
- `sentence_transformers`: the script of its documentation, SentenceTransformerTrainer with
  MultipleNegativesRankingLoss in float32 over random batches, with our batch size, learning rate and epochs.

Held-out nDCG@10 is measured by one function, as often in an epoch on all sides, with the clock stopped. The best that
sentence-transformers reaches is the target, less 0.002; the first measurement at the target counts on every side. Where
ours never got there, the ratio is 0. Peak memory is that of the whole process, the one for Java included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.training_sides import SIDES, Task
from sptar_engine import workspace
from sptar_engine.configs import FilterConfig, GenerateConfig, PrepareConfig, SelectConfig, TrainConfig
from sptar_engine.data.sample.builder import write_sample
from sptar_engine.pipeline import Store, run_stage

_COLLECTION = "cranfield"
_PEER = "sentence_transformers"
_TOLERANCE = 0.002  # of nDCG@10
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Runs:
    """What the runs of one side told: for each the seconds of training and nDCG@10 at every mark."""

    courses: list[list[tuple[float, float]]] = field(default_factory=list)
    untrained: float = 0.0
    mib: list[int] = field(default_factory=list)

    def add(self, told: Mapping[str, Any]) -> None:
        """Note one run."""
        self.courses.append([(seconds, score) for seconds, score in told["course"]])
        self.untrained = told["untrained"]
        self.mib.append(told["mib"])

    @property
    def best(self) -> float:
        """The median over the runs of the best that each reached."""
        return median(max(score for _, score in course) for course in self.courses)

    def seconds_to(self, target: float) -> float | None:
        """The median over the runs of the seconds to a score, or None when one of them never had it."""
        firsts = [next((seconds for seconds, score in course if score >= target), None) for course in self.courses]
        reached = [seconds for seconds in firsts if seconds is not None]
        return median(reached) if len(reached) == len(firsts) else None


def read_experiment(folder: Path) -> tuple[Path, Path]:
    """The stages prepare and filter.sptar of a finished experiment."""
    folders = {row["step"]: folder / row["folder"] for row in workspace.load(folder)["steps"]}
    return folders["prepare"], folders["filter.sptar"]


def write_weak_pairs(datasets: str, documents: int, folder: Path, models: Path) -> tuple[Path, Path]:
    """The stages prepare and filter, with weak queries of the hard prompt for so many documents."""
    dataset = Path(datasets) / _COLLECTION
    if not datasets or not dataset.is_dir():
        tell(f"no {_COLLECTION} in $DATASETS: the sample takes its place")
        dataset = folder / "sample"
        write_sample(dataset)
    store = Store(root=folder / "store", models=models)
    prepare = run_stage(PrepareConfig(), {"dataset": dataset}, store).folder
    tell(f"writing queries for {documents} documents with the hard prompt")
    select = run_stage(SelectConfig(candidates=4), {"prepare": prepare}, store).folder
    generate = run_stage(GenerateConfig(documents=documents), {"prepare": prepare, "select": select}, store).folder
    return prepare, run_stage(FilterConfig(), {"prepare": prepare, "generate": generate}, store).folder


def run(side: str, task: Task) -> Mapping[str, Any]:
    """One run of one side."""
    numbers = [str(number) for number in (task.epochs, task.marks, task.threads)]
    folders = [str(folder.resolve()) for folder in (task.prepare, task.filtered, task.models)]
    command = [sys.executable, "-m", "benchmarks.training_sides", side, *folders, task.base, *numbers]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - ourselves
    told: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def summarise(runs: Mapping[str, Runs]) -> dict[str, Any]:
    """The line that every benchmark ends with (issue 2). A ratio of 0 says that ours never got there."""
    peer = runs[_PEER]
    target = peer.best - _TOLERANCE
    seconds = {side: one.seconds_to(target) for side, one in runs.items()}
    peer_seconds = seconds[_PEER] or median(course[-1][0] for course in peer.courses)
    mib = {side: median(one.mib) for side, one in runs.items()}
    ours = seconds["ours"]
    return {
        "benchmark": "training",
        "unit": "seconds of training to the same held-out nDCG@10",
        "ours": None if ours is None else round(ours, 2),
        "peers": {_PEER: round(peer_seconds, 2)},
        "ratio": {_PEER: round(peer_seconds / ours, 2) if ours else 0.0},
        "checks": {
            "reached": ours is not None,
            "ndcg_untrained": round(peer.untrained, 4),
            "ndcg_target": round(target, 4),
            "target_is_above_untrained": target > peer.untrained,
            **{f"ndcg_best_{side}": round(one.best, 4) for side, one in runs.items()},
            **{f"seconds_{side}": value and round(value, 2) for side, value in seconds.items()},
            **{f"seconds_whole_{side}": round(median(c[-1][0] for c in one.courses), 2) for side, one in runs.items()},
            **{f"mib_{side}": mib[side] for side in runs},
            "memory_not_higher": mib["ours"] <= mib[_PEER],
        },
    }


def tell(line: str) -> None:
    """Say what is going on, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=about)
    parser.add_argument("--experiment", type=Path, help="folder of a finished experiment with the arm sptar")
    parser.add_argument("--documents", type=int, default=400, help="documents that weak queries are written for")
    parser.add_argument("--base", default=TrainConfig.base, help="encoder that all sides start from")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of every side")
    parser.add_argument("--marks", type=int, default=4, help="measurements in an epoch")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side; the medians count")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = torch's choice")
    parser.add_argument("--models", type=Path, default=None, help="folder that keeps the unpacked model between runs")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    runs = {side: Runs() for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        models = arguments.models or Path(folder) / "models"
        stages = (
            read_experiment(arguments.experiment)
            if arguments.experiment
            else write_weak_pairs(os.environ.get("DATASETS", ""), arguments.documents, Path(folder), models)
        )
        task = Task(*stages, models, arguments.base, arguments.epochs, arguments.marks, arguments.threads)
        for turn in range(1, arguments.repeats + 1):
            for side, told in runs.items():
                told.add(run(side, task))
                course = " ".join(f"{seconds:.0f}s:{score:.3f}" for seconds, score in told.courses[-1])
                tell(f"turn {turn} of {arguments.repeats}, {side}: {told.mib[-1]} MiB, {course}")
    result = summarise(runs)
    if not arguments.json:
        print(f"ours {result['ours']} s, {_PEER} {result['peers'][_PEER]} s, ratio {result['ratio'][_PEER]}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
