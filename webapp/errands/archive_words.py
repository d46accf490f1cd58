"""The words that go along with a download: what each file is, and how it is used. No text of a person's."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sptar_engine.arms import FAMILIES, ending
from webapp.selectors.words import family_name

BEIR = """# Generated questions as a BEIR dataset

- `queries.jsonl`: the questions that count: edited ones in their new words, rejected ones left out.
- `qrels/train.tsv`: for each question the document it was written for.
- `corpus.jsonl`: the documents.

Made with SPTAR, after arXiv 2307.08303. The questions were written by a language model and are no judgements of people.
"""

_RUNS = """# Result lists

- `NAME.trec`: the ranked results of one search, in TREC's format: query, Q0, document, rank, score, name.
- `NAME.metrics.json`: each measure for each query.
- `qrels/test.tsv`: the judgements that the searches were measured by when the experiment ran.
{later}
`bm25` is keyword search, `zero_shot` the untrained model; behind a dash stands the kind of search model unless it is
a bi-encoder, and a number at the end is a repeat with another seed.
Made with SPTAR, after arXiv 2307.08303.
"""

_LATER = """- `qrels/test-{number}.tsv`, `metrics-{number}.json`: the newest judgements, and each measure for each query
  by them. These are the figures of the report.
"""


def model_place(family: str) -> str:
    """The folder of a search model in everything: a name of its own for each kind."""
    return f"retriever{ending(family)}"


_EVERYTHING = {
    **{
        f"{model_place(family)}/": f"the trained search model ({family_name(family).lower()}); "
        "its README says how to load it"
        for family in FAMILIES
        if FAMILIES[family].trains
    },
    "soft-prompt/": "what the question writer learned, as a PEFT folder",
    "questions.csv": "generated questions with verdicts, for spreadsheets",
    "questions.jsonl": "the same, exact, for programs",
    "runs/": "ranked results as TREC runs, with the test judgements",
    "report.html": "everything measured, on one page",
    "embeddings.npz": "document vectors: numpy.load gives `ids` and `vectors`",
}


def runs_card(later: int) -> str:
    """README.md of the result lists; `later` is the number of the newest judgements, 0 for those of the start."""
    return _RUNS.format(later=_LATER.format(number=later) if later else "")


def soft_prompt_card(tuned: Mapping[str, Any], *, has_examples: bool) -> str:
    """README.md of a soft prompt, from the result of the tune step."""
    config, metrics, versions = tuned["config"], tuned["metrics"], tuned["versions"]
    demonstrations = (
        "\n`prompt.json` holds the demonstrations it is used with: texts of documents and queries."
        if has_examples
        else "\nThis folder holds no text of the documents or queries that it learned from."
    )
    return f"""---
library_name: peft
tags: [peft, prompt-tuning, sptar]
---

# Soft prompt

{config["virtual_tokens"]} virtual tokens for {config["model"]}, learned from {metrics["train_queries"]} queries.
{metrics["sentence"]}
{demonstrations}

## Use

    python -m pip install "peft=={_release(versions["peft"])}" "transformers=={_release(versions["transformers"])}"

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), "soft_prompt")  # this folder
```

BASE is your copy of {config["model"]}: the soft prompt fits no other model.
`sha256sum --check SHA256SUMS` verifies the files. Made with SPTAR, after arXiv 2307.08303.
"""


def everything_card(names: Iterable[str]) -> str:
    """README.md of everything in one: what each part is."""
    present = list(names)
    lines = [f"- `{part}`: {words}" for part, words in _EVERYTHING.items() if any(n.startswith(part) for n in present)]
    return "# Results of an experiment\n\n" + "\n".join(lines) + "\n\nMade with SPTAR, after arXiv 2307.08303.\n"


def from_zip(archive: Path, name: str) -> bytes:
    """A small file of a packed model."""
    with zipfile.ZipFile(archive) as content:
        return content.read(f"{archive.stem}/{name}")


def _release(version: str) -> str:
    """A version without a build's suffix, such as +cpu: each machine has its own."""
    return version.partition("+")[0]
