"""The cross-encoder (monoBERT, arXiv 1901.04085): it reads a query and a document together and gives a score.

Its head is new, and there are some hundred queries to learn from, where the published ones had half a million. Four
things make that enough to learn something:

- The score has the form that the base knows: `train.scale` times the cosine of the pair's vector, pooled as the base
  pools, with a direction. So it begins as small noise, and the learning rates that fit the base's vectors fit here.
- The head, which is one direction, moves fast (`_HEAD_PACE`), the transformer above a bi-encoder's pace.
- A query is compared with its own hard negatives, what the model will have to tell apart; a step takes fewer queries
  than a bi-encoder's (`queries_per_step`), since each is a list of documents, so there are more steps.
- Without a teacher it follows the untrained base where that knows better than BM25 (`base_opinion`).

Even so it does not learn again what BM25 knows of words. So its score counts beside BM25's, with a weight chosen on the
held-out queries at every evaluation (`train.weights`; arXiv 2301.09728 lets it read BM25's score as text instead).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Normalize
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn import functional

from sptar_engine.configs import CROSS_ENCODER_NEGATIVES, TrainConfig
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.fusion import WEIGHTED, Fusion, candidate_fusions, write_fusion
from sptar_engine.retrieval.reranking import Pair, score_pairs
from sptar_engine.training.base_opinion import BaseOpinion, ask_base
from sptar_engine.training.batches import Batch
from sptar_engine.training.cached_gradients import Room
from sptar_engine.training.distillation import distillation_loss
from sptar_engine.training.first_hits import FirstHits, find_first_hits
from sptar_engine.training.learner import Lesson, Meter
from sptar_engine.training.lora import add_lora, remove_lora
from sptar_engine.training.model_folder import write_model
from sptar_engine.training.pace import set_pace
from sptar_engine.training.pairs import TrainingPair
from sptar_engine.training.tokens import chunk_by_length

_HEAD_PACE, _BODY_PACE = 50.0, 2.5  # times train.learning_rate: by default 1e-3 and 5e-5, BERT's upper end
_HEAD_SEED = 0  # the direction is the same for every training seed and arm
_WEIGHT = "reading_weight"  # a buffer of the module: what a checkpoint keeps of the best step holds its weight too
_RANK_CONSTANT = 60  # of reciprocal rank fusion, which is not tried
_HELD = 4  # queries whose activations are in memory at a time unless train.cached_pairs says otherwise: about 1 GB
_CHUNK = {"cpu": 10_000}  # characters, padding included, in one forward pass; see `tokens`
_CHUNK_ACCELERATOR = 300_000


def queries_per_step(config: TrainConfig) -> int:
    """A fourth of `train.batch_size`, since each query brings a list of documents; two at least."""
    return max(2, config.batch_size // 4)


@dataclass(frozen=True, slots=True)
class Reading:
    """A query and the documents read with it: its own first, then `negatives`, then those that a teacher scored alone.

    `taught` (documents) has the teacher's scores, NaN where there is none.
    """

    query: str
    documents: tuple[str, ...]
    negatives: int
    taught: Tensor

    @property
    def is_taught(self) -> bool:
        """Whether the teacher knows the own document and another one, so that there is an order to follow."""
        known = self.taught.isfinite()
        return bool(known[0]) and int(known.sum()) > 1


class PairReader:
    """A sentence-transformers CrossEncoder as a Learner.

    The loss is (1 - teacher_weight) · labels + teacher_weight · distillation, the second over the queries that have
    scores. It falls into sums over the queries, so a batch passes some queries at a time and only gradients add up.
    """

    def __init__(self, module: CrossEncoder, lesson: Lesson, first_hits: FirstHits) -> None:
        self.module = module
        self._lesson = lesson
        self._first_hits = first_hits
        self._dev_pairs = first_hits.pairs()
        self._fusions = _candidates(lesson.config)
        module.register_buffer(_WEIGHT, torch.ones(()))
        self.room = Room(lesson.config.cached_pairs or _HELD)
        if lesson.config.lora_rank:
            body = module[0]
            assert isinstance(body, Transformer)
            add_lora(body.auto_model, lesson.config.lora_rank, "train.lora_rank")

    @property
    def evaluation_size(self) -> int:
        """Pairs that one evaluation reads, counted in lists of the length that a training pair brings (see Meter)."""
        return max(1, len(set(self._dev_pairs)) // (1 + max(CROSS_ENCODER_NEGATIVES, self._lesson.config.negatives)))

    def learn(self, batch: Batch) -> float:
        """See Learner. Out of memory, it goes on with fewer queries at a time."""
        readings = [self._reading(pair, batch) for pair in batch]
        return self.room.run(partial(self._learn, readings), self.module, len(batch))

    def score(self, meter: Meter) -> float:
        """nDCG@10 when it puts BM25's first hits for the held-out queries in order, with the weight that does best."""
        size, told = self.evaluation_size, 0

        def tick(done: int, total: int) -> None:
            nonlocal told
            new = size * done // total - told
            told += new
            meter.advance(new, f"held-out questions: {done:,} of {total:,} documents read")

        scores = score_pairs(self.module, self._dev_pairs, tick).tolist()
        if not self._fusions:
            return self._first_hits.score(scores)
        best, score = self._first_hits.choose(scores, self._fusions)
        assert best.weight is not None
        self._weight.fill_(best.weight)
        return score

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder, low-rank adapters added to the weights, and its weight beside BM25."""
        remove_lora(self.module)
        write_model(self.module, folder)
        chosen = min(self._fusions, key=lambda one: abs((one.weight or 0) - self._weight.item()), default=None)
        if chosen is not None:
            write_fusion(folder, chosen, {})

    @property
    def _weight(self) -> Tensor:
        return self.module.get_buffer(_WEIGHT)

    def _reading(self, pair: TrainingPair, batch: Batch) -> Reading:
        """What is read with a pair's query. Where it has too few hard negatives, documents of the batch join them."""
        training_set, key = self._lesson.training_set, pair.query_key
        answers = {*training_set.positives[key], pair.document_key}
        negatives = dict.fromkeys(training_set.negatives.get(key, ()))
        others = (other.document_key for other in batch if other.document_key not in answers | negatives.keys())
        negatives |= dict.fromkeys(islice(dict.fromkeys(others), max(0, CROSS_ENCODER_NEGATIVES - len(negatives))))
        taught = self._lesson.taught.get(key, {})
        alone = [other for other in taught if other not in negatives and other != pair.document_key]
        keys = (pair.document_key, *negatives, *alone)
        if not self._lesson.taught and self._base:
            taught = {other: self._base.score(key, other) for other in keys}
        scores = torch.tensor([taught.get(other, torch.nan) for other in keys])
        return Reading(pair.query, tuple(training_set.documents[other] for other in keys), len(negatives), scores)

    @cached_property
    def _base(self) -> BaseOpinion | None:
        if not self._lesson.config.teacher_weight:
            return None
        # Asked for in the midst of a step, whose dropout must not depend on whether loading a base draws numbers.
        with torch.random.fork_rng():
            torch.manual_seed(self._lesson.config.seed)
            return ask_base(self._lesson, self._first_hits)

    def _learn(self, readings: Sequence[Reading], held: int) -> float:
        total = 0.0
        for start in range(0, len(readings), held):
            some = readings[start : start + held]
            scores = self._read([(one.query, document) for one in some for document in one.documents])
            lists = torch.split(scores, [len(one.documents) for one in some])
            loss = self._share(some, lists, readings)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves this one without types
            total += loss.item()
        return total

    def _read(self, pairs: Sequence[Pair]) -> Tensor:
        """The scores of pairs, (pairs,), with their gradients. Pairs of like length pass together."""
        budget = _CHUNK.get(self.module.device.type, _CHUNK_ACCELERATOR)
        chunks = chunk_by_length([len(query) + len(document) for query, document in pairs], budget)
        read = []
        for chunk in chunks:
            features = self.module.preprocess([pairs[place] for place in chunk])
            read.append(self.module(batch_to_device(features, self.module.device))["scores"].view(-1))
        places = torch.tensor([place for chunk in chunks for place in chunk], device=self.module.device)
        return torch.cat(read)[places.argsort()]

    def _share(self, some: Sequence[Reading], lists: Sequence[Tensor], readings: Sequence[Reading]) -> Tensor:
        """What some queries with the scores of their documents add to the loss of all the batch's readings."""
        config = self._lesson.config
        labelled = [scores[: 1 + one.negatives] for one, scores in zip(some, lists, strict=True)]
        if config.cross_loss == "binary":
            pairs, others = len(readings), sum(one.negatives for one in readings)
            labels = torch.stack([binary_loss(scores, others / pairs) for scores in labelled]).sum() / (pairs + others)
        else:
            labels = torch.stack([listwise_loss(scores) for scores in labelled]).sum() / len(readings)
        taught = sum(one.is_taught for one in readings)
        if not taught:
            return labels
        following = [
            distillation_loss(config.teacher_loss, scores[None], one.taught[None].to(scores.device))
            for one, scores in zip(some, lists, strict=True)
            if one.is_taught
        ]
        followed = torch.stack([labels.new_zeros(()), *following]).sum() / taught
        return (1 - config.teacher_weight) * labels + config.teacher_weight * followed


def build_cross_encoder(lesson: Lesson) -> PairReader:
    """The learner of the family `cross_encoder`. Raises InputError for a base that cannot be loaded."""
    config = lesson.config
    base = load_bi_encoder(lesson.base, config.max_length, lesson.device)
    first_hits = find_first_hits(
        lesson.prepare, lesson.development, lesson.cache, config.rerank_depth, config.k1, config.b
    )
    return PairReader(put_head(base, config.scale), lesson, first_hits)


def _candidates(config: TrainConfig) -> list[Fusion]:
    """The weights that are tried, without 0, with which nothing would have to be read."""
    if not config.weights:
        return []
    tried = candidate_fusions(WEIGHTED, config.weights, _RANK_CONSTANT, config.rerank_depth)
    return [fusion for fusion in tried if fusion.weight]


def put_head(base: SentenceTransformer, scale: float) -> CrossEncoder:
    """A cross-encoder from a bi-encoder's modules and a head: `scale` times the cosine with a random direction.

    Its activation is the identity: raw scores rank, and a sigmoid would make the highest ones equal.
    """
    width = base.get_embedding_dimension() or 0
    direction = torch.randn(1, width, generator=torch.Generator().manual_seed(_HEAD_SEED))
    head = Dense(
        width, 1, activation_function=nn.Identity(), init_weight=scale * functional.normalize(direction),
        init_bias=torch.zeros(1), module_output_name="scores",
    )  # fmt: skip
    body = [module for module in base if not isinstance(module, Normalize)]
    model: CrossEncoder = CrossEncoder(
        modules=[*body, Normalize(), head], device=str(base.device), activation_fn=nn.Identity()
    )
    set_pace(model.parameters(), _BODY_PACE)
    set_pace(head.parameters(), _HEAD_PACE)
    return model.eval()


def listwise_loss(scores: Tensor) -> Tensor:
    """-log softmax of the own document's score among those of a list, `scores` (documents) with the own one first.

    The localized contrastive estimation loss (arXiv 2101.08751), in nats.
    """
    return -scores.log_softmax(dim=0)[0]


def binary_loss(scores: Tensor, weight: float) -> Tensor:
    """Sum over a list of the binary cross-entropy: the own document, which is first, is an answer, the others are not.

    The answer counts `weight` times, so that it is not drowned by the others.
    """
    labels = torch.zeros_like(scores)
    labels[0] = 1
    return functional.binary_cross_entropy_with_logits(
        scores, labels, pos_weight=scores.new_tensor(weight), reduction="sum"
    )
