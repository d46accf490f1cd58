"""The settings of every stage: one frozen dataclass each, with default, bounds and one line of help per field.

Three readers use the metadata: validation here, `--help` on the command line, and the web form. Settings of type
`str` with `choices` are menus; a field named `dtype` or `threads` is decided by the machine once per experiment.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sptar_engine.errors import ConfigError

Value = int | float | bool | str

QUERY_STYLES = ("any", "question", "keywords", "claim", "mixed")
FAMILIES = ("bi_encoder", "late_interaction", "cross_encoder", "sparse", "adapter")
"""Kinds of retrievers that are trained (`train.family`)."""
STARTS_RANDOM = frozenset({"cross_encoder", "sparse"})
"""Families that begin with random values: their untrained state is nothing to keep, to mix with or to compare with."""
RETRIEVERS = ("bm25", "dense", "late_interaction", "cross_encoder", "sparse", "hybrid")
CROSS_ENCODER_NEGATIVES = 4
"""A cross-encoder learns from no fewer mined negatives: it has no other documents of a batch to tell its own from."""
LONGEST_NAME = 64
"""Characters of `package.name`, what a family adds to it included."""


def option(
    default: Value,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    model: str | None = None,
) -> Any:
    """Declare a setting. Bounds are inclusive. `model` says which kind of catalogue name a string is."""
    metadata = {"help": help, "low": low, "high": high, "choices": choices, "model": model}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Base of the settings. Raises ConfigError, naming the option, for a value out of range."""

    STAGE: ClassVar[str]

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            _check(f"{self.STAGE}.{spec.name}", getattr(self, spec.name), spec)

    def as_dict(self) -> dict[str, Value]:
        """The settings by name, ready for JSON."""
        return dataclasses.asdict(self)

    @property
    def idle(self) -> frozenset[str]:
        """Settings that nothing looks at under the others: whatever they are, the result is the same."""
        return frozenset()


def _language_model() -> Any:
    return option("smollm2-135m-instruct", "language model, a name of `sptar models list`", model="language_model")


def _encoder() -> Any:
    return option("all-minilm-l6-v2", "base retriever, a name of `sptar models list`", model="encoder")


def _seed() -> Any:
    return option(13, "seed of every random choice of this stage", low=0, high=2**31 - 1)


def _dtype() -> Any:
    return option("float32", "number format of the frozen language model", choices=("float32", "bfloat16", "float16"))


def _threads() -> Any:
    return option(0, "CPU threads; 0 = as many as the machine decides", low=0, high=1024)


def _dev_pool() -> Any:
    return option(0, "documents searched in a dev evaluation (judged ones always); 0 = all", low=0, high=10**8)


def _rerank_depth() -> Any:
    return option(50, "BM25 hits that a cross-encoder puts in order (1,000 in the paper)", low=1, high=1000)


def _max_length() -> Any:
    return option(256, "documents and queries are cut to this many tokens", low=16, high=8192)


def _document_tokens() -> Any:
    return option(160, "a document is cut to this many tokens in a prompt", low=16, high=4096)


def _query_tokens() -> Any:
    return option(48, "a query is cut to this many tokens in a prompt", low=4, high=512)


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(StageConfig):
    """Read the dataset, check it, split the labels, draw the pool of unlabelled documents."""

    STAGE: ClassVar[str] = "prepare"
    seed: int = _seed()
    min_grade: int = option(1, "a judged document counts as relevant from this grade on", low=1, high=100)
    train_queries: int = option(0, "use only the first so many training queries; 0 = all", low=0, high=10**6)
    similarity: float = option(0.8, "word overlap from which two queries are called similar", low=0.1, high=1.0)
    window_tokens: int = option(256, "documents longer than this many tokens are reported", low=16, high=10**6)


@dataclass(frozen=True, kw_only=True)
class TuneConfig(StageConfig):
    """Learn a soft prompt on the seed pairs while the language model stays frozen."""

    STAGE: ClassVar[str] = "tune"
    model: str = _language_model()
    method: str = option("prompt_tuning", "kind of soft prompt", choices=("prompt_tuning", "prefix_tuning", "p_tuning"))
    virtual_tokens: int = option(50, "length of the soft prompt", low=1, high=512)
    init_text: str = option("please generate query for this document", "words the soft prompt starts from")
    epochs: int = option(8, "passes over the training queries at most", low=1, high=1000)
    patience: int = option(3, "stop after so many epochs without a better held-out perplexity", low=1, high=1000)
    batch_size: int = option(4, "pairs per step", low=1, high=256)
    learning_rate: float = option(3e-2, "AdamW learning rate at the start, falling linearly", low=1e-6, high=1.0)
    weight_decay: float = option(0.01, "AdamW weight decay", low=0.0, high=1.0)
    average: float = option(0.9, "share kept in the average over the steps; 0 = the last step", low=0.0, high=0.999)
    examples: int = option(0, "example pairs shown before each training pair", low=0, high=4)
    document_tokens: int = _document_tokens()
    query_tokens: int = _query_tokens()
    seed: int = _seed()
    dtype: str = _dtype()
    threads: int = _threads()


@dataclass(frozen=True, kw_only=True)
class SelectConfig(StageConfig):
    """Choose the example pairs: draw candidate sets, keep the one with the lowest held-out perplexity."""

    STAGE: ClassVar[str] = "select"
    model: str = _language_model()
    examples: int = option(1, "example pairs in the prompt (M of the paper)", low=1, high=8)
    instruction: str = option("", "words that stand before the examples and say what is asked for")
    style: str = option("any", "kind of queries to ask for; examples are of that kind", choices=QUERY_STYLES)
    candidates: int = option(12, "example sets to try", low=1, high=10_000)
    take: int = option(0, "place of the set that is taken, by perplexity; 0 = the best", low=0, high=9_999)
    batch_tokens: int = option(4096, "document and query tokens in a batch", low=64, high=10**7)
    document_tokens: int = _document_tokens()
    query_tokens: int = _query_tokens()
    seed: int = _seed()
    dtype: str = _dtype()
    threads: int = _threads()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.take >= self.candidates:
            reason = f"{self.take} is beyond the last of {self.candidates} candidates, which are counted from 0"
            raise ConfigError("select.take", reason)


@dataclass(frozen=True, kw_only=True)
class GenerateConfig(StageConfig):
    """Let the language model write queries for unlabelled documents."""

    STAGE: ClassVar[str] = "generate"
    model: str = _language_model()
    documents: int = option(1000, "unlabelled documents to write queries for", low=1, high=10**8)
    queries: int = option(1, "queries per document", low=1, high=50)
    choice: str = option("random", "documents: at random, or spread over the topics", choices=("random", "diverse"))
    base: str = _encoder()
    decoding: str = option("greedy", "take the likeliest word, or draw", choices=("greedy", "sample"))
    temperature: float = option(0.7, "flatness of the draw (decoding = sample)", low=0.01, high=5.0)
    top_p: float = option(0.95, "draw from the likeliest words of this total share", low=0.01, high=1.0)
    max_new_tokens: int = option(48, "longest query, in tokens", low=4, high=512)
    min_words: int = option(3, "shorter queries are dropped", low=1, high=50)
    shard_documents: int = option(64, "documents written to disk at a time", low=1, high=10**6)
    batch_tokens: int = option(4096, "document tokens in a batch", low=64, high=10**7)
    document_tokens: int = _document_tokens()
    query_tokens: int = _query_tokens()
    seed: int = _seed()
    dtype: str = _dtype()
    threads: int = _threads()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoding == "greedy" and self.queries > 1:
            raise ConfigError(
                "generate.queries",
                f"greedy decoding writes the same query every time, so {self.queries} per document need "
                "generate.decoding=sample",
            )

    @property
    def idle(self) -> frozenset[str]:
        """See StageConfig."""
        return frozenset() if self.choice == "diverse" else frozenset({"base"})


@dataclass(frozen=True, kw_only=True)
class FilterConfig(StageConfig):
    """Keep a weak query only if its own document is found again, by BM25 unless another `method` is chosen."""

    STAGE: ClassVar[str] = "filter"
    method: str = option(
        "bm25", "what decides: keyword search, the untrained base's dense search (round_trip), or the language model",
        choices=("bm25", "round_trip", "likelihood"),
    )  # fmt: skip
    keep_share: float = option(0.5, "share of the likeliest queries kept (method = likelihood)", low=0.01, high=1.0)
    base: str = _encoder()
    max_length: int = _max_length()
    top_k: int = option(30, "keep a query whose document is found within this rank", low=1, high=100)
    depth: int = option(100, "ranks are searched down to here", low=1, high=1000)
    k1: float = option(0.9, "BM25 term saturation", low=0.0, high=10.0)
    b: float = option(0.4, "BM25 length normalisation", low=0.0, high=1.0)
    near_copy: float = option(0.9, "word overlap with a seed query from which a query is a copy", low=0.1, high=1.0)
    threads: int = _threads()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k > self.depth:
            raise ConfigError("filter.top_k", f"{self.top_k} is beyond filter.depth, {self.depth}; raise that too")

    @property
    def idle(self) -> frozenset[str]:
        """See StageConfig."""
        return frozenset() if self.method == "round_trip" else frozenset({"base", "max_length", "threads"})


@dataclass(frozen=True, kw_only=True)
class MineConfig(StageConfig):
    """Find hard negatives: documents close to a query that, as far as anybody knows, do not answer it."""

    STAGE: ClassVar[str] = "mine"
    source: str = option("both", "where they are looked for", choices=("bm25", "dense", "both"))
    count: int = option(16, "hard negatives kept per query at most", low=1, high=256)
    skip: int = option(0, "first hits of each source that are passed over", low=0, high=900)
    depth: int = option(100, "hits of each source that are looked at", low=1, high=1000)
    margin: float = option(
        0.95, "left out from this share of the score of the query's own document on (NV-Retriever); 0 = never",
        low=0.0, high=1.0,
    )  # fmt: skip
    base: str = _encoder()
    max_length: int = _max_length()
    k1: float = option(0.9, "BM25 term saturation", low=0.0, high=10.0)
    b: float = option(0.4, "BM25 length normalisation", low=0.0, high=1.0)
    threads: int = _threads()


@dataclass(frozen=True, kw_only=True)
class TeachConfig(StageConfig):
    """Let a teacher score the mined documents of every training query, for a student to learn its order."""

    STAGE: ClassVar[str] = "teach"
    teacher: str = option(
        "none", "who teaches; hybrid = BM25 and the untrained base together, which teaches bi-encoders and adapters",
        choices=("none", "hybrid", "cross_encoder", "likelihood", "self"),
    )  # fmt: skip
    hits: int = option(100, "documents per query that the teacher hybrid puts in order", low=2, high=1000)
    feedback: int = option(
        3, "first documents towards which the teacher hybrid moves queries where a first look is not enough; 0 = never",
        low=0, high=100,
    )  # fmt: skip
    base: str = _encoder()
    k1: float = option(0.9, "BM25 term saturation", low=0.0, high=10.0)
    b: float = option(0.4, "BM25 length normalisation", low=0.0, high=1.0)
    documents: int = option(8, "documents scored per query, its own included", low=2, high=64)
    model: str = _language_model()
    document_tokens: int = _document_tokens()
    query_tokens: int = _query_tokens()
    max_length: int = _max_length()
    rerank_depth: int = _rerank_depth()
    seed: int = _seed()
    dtype: str = _dtype()
    threads: int = _threads()

    @property
    def idle(self) -> frozenset[str]:
        """See StageConfig."""
        if self.teacher == "likelihood":
            return frozenset()
        return frozenset({"model", "document_tokens", "query_tokens", "dtype"})


@dataclass(frozen=True, kw_only=True)
class TrainConfig(StageConfig):
    """Train the retriever on seeds and kept weak pairs; the untrained base is a candidate too."""

    STAGE: ClassVar[str] = "train"
    base: str = _encoder()
    family: str = option("bi_encoder", "kind of retriever", choices=FAMILIES)
    towers: str = option(
        "both", "what of a bi-encoder learns: both sides, or queries alone (documents keep the base's vectors)",
        choices=("both", "query"),
    )  # fmt: skip
    epochs: int = option(2, "passes over the pairs", low=1, high=1000)
    answers: int = option(0, "answers of a query in an epoch at most, drawn anew each time; 0 = all", low=0, high=10**6)
    batch_size: int = option(32, "pairs per step; the other documents of a batch are the negatives", low=2, high=4096)
    cached_pairs: int = option(0, "pairs held in memory at a time by cached gradients; 0 = all", low=0, high=4096)
    learning_rate: float = option(2e-5, "AdamW learning rate after warm-up, falling linearly", low=1e-8, high=1.0)
    warmup: float = option(0.1, "share of the steps spent warming up", low=0.0, high=1.0)
    scale: float = option(20.0, "factor on the cosine similarity in the loss", low=0.1, high=1000.0)
    max_length: int = _max_length()
    negatives: int = option(0, "mined hard negatives per pair; a cross-encoder takes 4 at least", low=0, high=64)
    multi_positive: bool = option(False, "all known answers of a query share its loss")
    matryoshka: str = option("", "shorter vectors that are trained along, such as 192,96")
    lora_rank: int = option(0, "train low-rank adapters of this rank (LoRA); 0 = all weights", low=0, high=1024)
    adapter_rank: int = option(32, "rank of the embedding adapter (family = adapter)", low=1, high=4096)
    token_dimensions: int = option(
        0, "dimensions of a token's vector (family = late_interaction); 0 = as many as the base has", low=0, high=4096
    )
    cross_loss: str = option("listwise", "loss of a cross-encoder", choices=("listwise", "binary"))
    rerank_depth: int = _rerank_depth()
    weights: int = option(
        10, "steps up to 1 in which the weight of a cross-encoder's score beside BM25's is tried; 0 = its score alone",
        low=0, high=100,
    )  # fmt: skip
    k1: float = option(0.9, "BM25 term saturation (family = cross_encoder)", low=0.0, high=10.0)
    b: float = option(0.4, "BM25 length normalisation (family = cross_encoder)", low=0.0, high=1.0)
    teacher_loss: str = option("kl", "how a student follows its teacher", choices=("kl", "margin_mse"))
    teacher_weight: float = option(0.5, "share of the teacher in the loss, where there is one", low=0.0, high=1.0)
    weak_limit: int = option(0, "use at most this many weak pairs; 0 = all", low=0, high=10**8)
    evaluations: int = option(3, "dev evaluations, spread evenly over the run", low=1, high=1000)
    patience: int = option(10, "stop after so many evaluations without a better dev nDCG@10", low=1, high=1000)
    dev_pool: int = _dev_pool()
    mixes: str = option("0.5,1.0", "shares of trained against base weights that are tried at the end, chosen on dev")
    seed: int = _seed()
    threads: int = _threads()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0 < share <= 1 for share in self.shares):
            raise ConfigError("train.mixes", f"{self.mixes!r}: a share is above 0 and at most 1")
        if self.shorter and self.family != "bi_encoder":
            raise ConfigError(
                "train.matryoshka", f"only the family bi_encoder trains shorter vectors, not {self.family}"
            )
        if self.multi_positive and self.family == "cross_encoder":
            raise ConfigError(
                "train.multi_positive", "a cross_encoder compares one answer at a time with its negatives"
            )
        if self.lora_rank and self.family == "adapter":
            raise ConfigError("train.lora_rank", "the family adapter is of low rank itself, see train.adapter_rank")

    @property
    def idle(self) -> frozenset[str]:
        """See StageConfig."""
        if self.family != "cross_encoder":
            return frozenset({"k1", "b", "weights"})
        return frozenset() if self.weights else frozenset({"weights"})

    @property
    def shorter(self) -> tuple[int, ...]:
        """`matryoshka` as numbers, falling. Raises ConfigError when it is no list of whole numbers above 0."""
        words = [word.strip() for word in self.matryoshka.split(",") if word.strip()]
        if not all(word.isdecimal() and int(word) for word in words):
            raise ConfigError("train.matryoshka", f"{self.matryoshka!r} is not a list of numbers such as 192,96")
        return tuple(sorted({int(word) for word in words}, reverse=True))

    @property
    def shares(self) -> tuple[float, ...]:
        """`mixes` as numbers, rising, each once. Raises ConfigError when it is no list of numbers."""
        try:
            return tuple(sorted({float(word) for word in self.mixes.split(",")}))
        except ValueError:
            raise ConfigError("train.mixes", f"{self.mixes!r} is not a list of numbers such as 0.5,1.0") from None


@dataclass(frozen=True, kw_only=True)
class FuseConfig(StageConfig):
    """Choose on the held-out queries how BM25 and a dense retriever are put together."""

    STAGE: ClassVar[str] = "fuse"
    method: str = option("chosen", "how; chosen = the better one", choices=("chosen", "reciprocal_rank", "weighted"))
    rank_constant: int = option(60, "constant of reciprocal rank fusion", low=1, high=1000)
    weights: int = option(20, "steps between 0 and 1 in which the weight of the dense score is tried", low=2, high=100)
    depth: int = option(1000, "hits of each side that are put together", low=10, high=100_000)
    feedback: int = option(
        3, "first documents towards which queries are moved for a second look, tried with dev_pool = 0; 0 = one look",
        low=0, high=100,
    )  # fmt: skip
    dev_pool: int = _dev_pool()
    base: str = _encoder()
    max_length: int = _max_length()
    k1: float = option(0.9, "BM25 term saturation", low=0.0, high=10.0)
    b: float = option(0.4, "BM25 length normalisation", low=0.0, high=1.0)
    threads: int = _threads()


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(StageConfig):
    """Rank the test queries and measure."""

    STAGE: ClassVar[str] = "evaluate"
    retriever: str = option("dense", "what ranks", choices=RETRIEVERS)
    base: str = _encoder()
    depth: int = option(1000, "hits per query in the run file", low=100, high=100_000)
    rerank_depth: int = _rerank_depth()
    exact_limit: int = option(
        100_000, "documents up to which late interaction searches all of them; beyond, it puts BM25's hits in order",
        low=0, high=10**8,
    )  # fmt: skip
    min_grade: int = option(1, "a judged document counts as relevant from this grade on", low=1, high=100)
    k1: float = option(0.9, "BM25 term saturation", low=0.0, high=10.0)
    b: float = option(0.4, "BM25 length normalisation", low=0.0, high=1.0)
    max_length: int = _max_length()
    threads: int = _threads()


@dataclass(frozen=True, kw_only=True)
class PackageConfig(StageConfig):
    """Make the archive that a user downloads."""

    STAGE: ClassVar[str] = "package"
    name: str = option(
        "retriever", "name of the folder inside the archive; families other than the bi-encoder add theirs"
    )
    language_model: str = option("smollm2-135m-instruct", "language model named in the card", model="language_model")
    base: str = _encoder()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.name) > LONGEST_NAME or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            reason = (
                f"{self.name!r} is not 1 to {LONGEST_NAME} letters, digits, '.', '_' or '-', a letter or digit first"
            )
            raise ConfigError("package.name", reason)


CONFIGS: dict[str, type[StageConfig]] = {
    config.STAGE: config
    for config in (
        PrepareConfig, TuneConfig, SelectConfig, GenerateConfig, FilterConfig, MineConfig, TeachConfig,
        TrainConfig, FuseConfig, EvaluateConfig, PackageConfig,
    )
}  # fmt: skip


def build_config(stage: str, settings: Mapping[str, Value]) -> StageConfig:
    """Return the settings of a stage, defaults filled in. Strings are read as the field's type.

    Raises ConfigError for an unknown option (naming the nearest) or a value out of range.
    """
    config = CONFIGS[stage]
    specs = {spec.name: spec for spec in dataclasses.fields(config)}
    for name in settings:
        if name not in specs:
            raise ConfigError(f"{stage}.{name}", _unknown(name, list(specs), stage))
    return config(**{name: _read(f"{stage}.{name}", value, specs[name]) for name, value in settings.items()})


def parse_overrides(pairs: list[str]) -> dict[str, dict[str, Value]]:
    """Read `STAGE.FIELD=VALUE` words into `{stage: {field: value}}`. Raises ConfigError."""
    settings: dict[str, dict[str, Value]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        stage, dot, option_name = name.partition(".")
        if not (equals and dot and option_name):
            raise ConfigError(pair, "an option is written STAGE.FIELD=VALUE, for example filter.top_k=10")
        if stage not in CONFIGS:
            raise ConfigError(name, _unknown(stage, list(CONFIGS), "stage"))
        settings.setdefault(stage, {})[option_name] = value
    for stage, values in settings.items():
        build_config(stage, values)
    return settings


def _unknown(name: str, known: list[str], where: str) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"unknown {'stage' if where == 'stage' else f'option of {where}'}; the nearest is {nearest!r}"


def _read(option_name: str, value: Value, spec: dataclasses.Field[Any]) -> Value:
    if not isinstance(value, str) or spec.type == "str":
        return value
    if spec.type == "bool":
        if value.lower() not in ("true", "false"):
            raise ConfigError(option_name, f"{value!r} is not true or false")
        return value.lower() == "true"
    try:
        return int(value) if spec.type == "int" else float(value)
    except ValueError:
        kind = "a whole number" if spec.type == "int" else "a number"
        raise ConfigError(option_name, f"{value!r} is not {kind}") from None


def _check(option_name: str, value: Value, spec: dataclasses.Field[Any]) -> None:
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
    expected = kinds[str(spec.type)]
    if not isinstance(value, expected) or (isinstance(value, bool) and spec.type != "bool"):
        raise ConfigError(option_name, f"{value!r} is not of type {spec.type}")
    choices, low, high = spec.metadata["choices"], spec.metadata["low"], spec.metadata["high"]
    if choices and value not in choices:
        raise ConfigError(option_name, f"{value!r} is not one of {', '.join(choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(option_name, f"{value!r} is not a finite number")
    too_small = low is not None and not isinstance(value, str) and value < low
    too_large = high is not None and not isinstance(value, str) and value > high
    if too_small or too_large:
        raise ConfigError(option_name, f"{value!r} is out of range; allowed is {low:g} to {high:g}")
