"""The words of the pages: what an expert reads, what the field calls it, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.text import slugify


@dataclass(frozen=True, slots=True)
class Term:
    """`expert` is the word on the pages, `technical` the field's, `text` one paragraph; `also` are its plurals."""

    expert: str
    technical: str
    text: str
    also: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Where the tag `term` links to."""
        return slugify(self.technical)

    @property
    def other_anchors(self) -> list[str]:
        """Where it links to when a page uses the plural."""
        return [slugify(word) for word in self.also]


@dataclass(frozen=True, slots=True)
class StepHelp:
    """What a step of a project does and what it needs."""

    name: str
    icon: str
    does: str
    needs: str


TERMS: tuple[Term, ...] = (
    Term(
        "example",
        "seed pair",
        "A question and a document that answers it, chosen by you. About fifty are enough: the app learns from them "
        "how people in your field ask, and writes thousands more in the same style.",
        also=("seed pairs",),
    ),
    Term(
        "document",
        "corpus",
        "What is searched: an article, a section of a manual, a rule. All documents of a project together are its "
        "corpus. Each upload makes a new version, and an experiment keeps the version it was started with.",
    ),
    Term(
        "piece of a document",
        "chunk",
        "A search model reads only the first few hundred words of a text. Long documents can be cut at paragraphs into "
        "pieces that are searched one by one; each keeps the title of its document.",
    ),
    Term(
        "health of the documents",
        "health report",
        "What the import noticed: how many documents there are, how long they are, and how many are empty, twice "
        "there, too long for the search model, or in another language.",
    ),
    Term(
        "grade",
        "relevance judgement",
        "How well a document answers a question: 0 not at all, 1 partly, 2 well, 3 exactly this. A document nobody "
        "graded is unjudged, which is not the same as 0. Several grades together are called qrels in data files.",
    ),
    Term(
        "training, held-out and test examples",
        "train, dev and test split",
        "The app divides your examples. It learns from the training ones, uses the held-out ones to notice when "
        "learning stops helping, and keeps the test ones for the final comparison. An example never serves twice, or "
        "the numbers would flatter.",
    ),
    Term(
        "variety of the examples",
        "diversity",
        "How many topics of your documents have an example. Fifty examples on one topic teach less than fifty spread "
        "over all of them.",
    ),
    Term(
        "agreement",
        "Cohen's kappa",
        "How often two people give the same grade, beyond what chance would give. 1 is always, 0 is no better than "
        "chance. Below about 0.4 the guidelines need a sentence more.",
        also=("kappa",),
    ),
    Term(
        "question writer",
        "language model",
        "A program that continues text. Here it reads a document and writes a question which that document answers.",
    ),
    Term(
        "teach the question writer your style",
        "soft prompt tuning",
        "The language model itself stays as it is. Only a handful of numbers put before its input are learned, from "
        "your training examples. They steer it to questions like yours, and it takes minutes instead of days.",
    ),
    Term(
        "surprise of the model about your held-out examples",
        "perplexity",
        "How unexpected your own questions are to the question writer; lower is better. 20 means it was on average as "
        "unsure as if it had to pick each word out of 20. When the number for held-out examples stops falling, more "
        "teaching would only make it learn by heart.",
    ),
    Term(
        "pass over the examples",
        "epoch",
        "Learning goes over all training examples several times. One time over all of them is an epoch.",
    ),
    Term(
        "error while learning",
        "loss",
        "How far the model is from what it should say, in a number that learning pushes down. What counts in the "
        "end is not this number but how well the model does on examples it has not learned from.",
    ),
    Term(
        "pick the best demonstrations",
        "example filtering",
        "The question writer is shown a few of your examples before it writes. Many sets are tried, and the one that "
        "makes your held-out questions least surprising is used.",
    ),
    Term(
        "generated question",
        "weak query",
        "A question the question writer made up for a document. It is called weak because nobody has checked it: most "
        "are good, some are not.",
        also=("weak queries",),
    ),
    Term(
        "keep questions that find their own document",
        "BM25 filter",
        "Each generated question is searched by keywords. If its own document is not among the first results, the "
        "question is probably too vague or wrong, and it is left out.",
    ),
    Term(
        "threshold k",
        "top-k",
        "The filter keeps a generated question if keyword search finds its own document among the first k. A small k "
        "keeps few questions that fit well, a large one keeps more, and more wrong ones among them.",
    ),
    Term(
        "learning curve",
        "learning curve",
        "How good a search is after learning from 10, 20, 30 and all of your examples. Where the curve still rises, "
        "more examples help; where it is flat, time is better spent elsewhere.",
    ),
    Term(
        "dataset in one zip",
        "BEIR",
        "A usual way to keep a collection in files: corpus.jsonl with the documents, queries.jsonl with the questions, "
        "and qrels with the judgements for training, held-out and test.",
    ),
    Term(
        "keyword search",
        "BM25",
        "Finds documents that share words with the question and weighs rare words more. It needs no training, has been "
        "hard to beat for decades, and is what every model here is compared with.",
    ),
    Term(
        "search model",
        "retriever",
        "What finds documents by meaning: it turns texts into numbers so that a question lies near its answers. The "
        "app starts from a general one and trains it on your field.",
    ),
    Term(
        "untrained search model",
        "zero-shot baseline",
        "The general search model before any training. If the trained one is not better than this, training was not "
        "worth it, and the comparison says so.",
        also=("untrained encoder",),
    ),
    Term(
        "family of search models",
        "bi-encoder, late interaction, cross-encoder",
        "Three ways to compare a question with a document. The first compares one list of numbers for each and is the "
        "fastest; the second compares word by word; the third reads both together, is the slowest, needs the most to "
        "learn from, and only re-orders what keyword search found. Learned sparse search, adapters and hybrids are "
        "offered beside them.",
    ),
    Term(
        "learned sparse search",
        "SPLADE",
        "A search model that turns a text into a long list of numbers of which nearly all are zero, so that an index "
        "like that of keyword search can hold it. Where the base model cannot fill in missing words, the places of the "
        "list stand for no words: that is a sparse autoencoder.",
    ),
    Term(
        "adapter",
        "embedding adapter",
        "One small layer that is trained behind a search model which itself stays as it is. It learns less than a "
        "whole model, in minutes and without a graphics card.",
    ),
    Term(
        "hybrid search",
        "hybrid",
        "Keyword search and the bi-encoder together: each finds what the other overlooks. How much each counts is "
        "chosen on your held-out examples, and so is whether the bi-encoder searches a second time, for what the "
        "question and the first documents found have in common. An untrained hybrid stands beside it, so that the "
        "gain of training is not mixed up with the gain of putting two searches together.",
    ),
    Term(
        "putting ranks together",
        "reciprocal rank fusion",
        "A way to make one list of two: a document gets points for its place in each, many for the first places and "
        "few further down, and the sums decide. It needs no numbers that compare, only the places.",
    ),
    Term(
        "hard negative",
        "negative mining",
        "A document that looks right for a question and is not. Training against such documents teaches the search "
        "model the fine differences of your field. Documents that score nearly as well as the answer are left out: "
        "they may well be answers that nobody has marked.",
        also=("hard negatives",),
    ),
    Term(
        "learning from a teacher",
        "distillation",
        "Something more exact, a slow model or keyword search and the untrained search model together, gives each "
        "document of a question a score, and the search model learns to order them alike. A teacher is examined on "
        "your held-out examples first: one that is no better than keyword search, or than the untrained search model "
        "where that is a part of it, does not teach. Where keyword search and the untrained model together are no "
        "better than the latter, they are examined once more with a second search, for what a question and the first "
        "documents found for it have in common.",
        also=("teacher",),
    ),
    Term(
        "mixing before and after",
        "weight interpolation",
        "The numbers of the trained model and of the untrained one are averaged, so that it forgets less of what it "
        "could do before. Which share is best is chosen on your held-out examples.",
    ),
    Term(
        "round trip",
        "round-trip filter",
        "A way to keep good generated questions: a search by meaning, instead of keywords, has to find the document "
        "that a question was written for.",
    ),
    Term(
        "experiment",
        "run",
        "One go through all steps with settings that are written down. It can be repeated exactly, and it keeps the "
        "documents and examples it started with.",
    ),
    Term(
        "frozen copy",
        "snapshot",
        "The documents and examples as they were when an experiment started. Later changes do not reach into it, so "
        "its numbers stay true.",
    ),
    Term(
        "way to compare",
        "arm",
        "An experiment trains several search models side by side: with your examples alone, with questions of a fixed "
        "prompt, and with questions of your taught question writer. Each is an arm; steps they share are done once. "
        "Every arm gets each kind of search model that you choose, so the results are a table of arms by families.",
    ),
    Term(
        "fixed prompt",
        "hard prompt (InPars)",
        "The question writer sees the same demonstrations but was not taught. Comparing with it shows what the "
        "teaching itself is worth.",
    ),
    Term(
        "how good the first ten results are (0-1)",
        "nDCG@10",
        "1 means that the best documents stand first. Right documents further down count less. It is averaged over the "
        "test questions.",
    ),
    Term(
        "place of the first right result",
        "RR@10",
        "1 when the first result is right, 0.5 when the second is the first right one, 0 when none of the ten is.",
    ),
    Term(
        "share of right documents among the first hundred",
        "R@100",
        "How much of what should be found is found at all, wherever it stands among the first hundred results.",
    ),
    Term(
        "how well the right documents lead the whole list",
        "AP",
        "Average precision: for each right document, the share of right ones among the results down to it, averaged. "
        "It reads the whole list of results, not only its top.",
    ),
    Term(
        "share of results somebody graded",
        "Judged@10",
        "When many of the first ten results were never graded, the other numbers are too low: a good document that "
        "nobody graded counts as wrong.",
    ),
    Term(
        "95 % interval",
        "confidence interval",
        "Where the true difference probably lies. With few test questions it is wide. When it reaches over zero, the "
        "difference may be chance. Of a share that a random sample tells, it is where the share of all of them "
        "probably lies.",
    ),
    Term(
        "likely real",
        "significance, p-value",
        "How probable a difference this large would be by luck if both models were equally good. The app says “likely "
        "real” below 5 %, after taking into account that several models were compared; otherwise it says “cannot "
        "tell yet”.",
    ),
    Term(
        "worker",
        "queue",
        "A program beside the web server that does the long work. Work waits in a queue until a worker is free; you "
        "can close the page in the meantime.",
    ),
    Term(
        "topic",
        "cluster",
        "A group of documents with similar content. The app finds topics by itself and uses them to suggest which "
        "document to write a question for next.",
    ),
)

STEPS: tuple[StepHelp, ...] = (
    StepHelp(
        "Documents", "folder2-open",
        "Bring in what should be searched: a table, JSON lines, or a zip of text, PDF or Word files. "
        "Search them at once.",
        "A file. A few hundred documents are a good start.",
    ),
    StepHelp(
        "Examples", "card-checklist",
        "Write questions as people in your field ask them, and tick the documents that answer them.",
        "About fifty questions: an hour or two of your time. The app divides them into training, held-out and test.",
    ),
    StepHelp(
        "Tune", "mortarboard",
        "Teach the question writer your style, and pick the examples it is shown while it writes.",
        "Examples; nothing else from you.",
    ),
    StepHelp(
        "Generate", "chat-square-text",
        "Let it write questions for documents without examples, and keep those that find their own document again.",
        "Patience: this is the longest step. It goes on where it was after any interruption.",
    ),
    StepHelp(
        "Review", "eye",
        "Read generated questions beside the documents they ask about, and accept, reject or edit them. Fifty at "
        "random tell how good all of them are. Train again with your verdicts, and what you rejected is left out. "
        "Optional, nothing waits for it.",
        "Ten minutes for fifty questions, as many more as you like.",
    ),
    StepHelp(
        "Train", "activity",
        "Train the search model on your examples and the generated questions together.",
        "Nothing from you.",
    ),
    StepHelp(
        "Compare", "bar-chart-line",
        "See, on test questions no model has seen, whether it finds better results than keyword search and than the "
        "untrained model.",
        "At least thirty test questions for a clear answer.",
    ),
    StepHelp(
        "Download", "download",
        "Take the search model with you, with a card that says how it was made and one line of code to load it.",
        "A finished experiment.",
    ),
)  # fmt: skip

KEYS: tuple[tuple[str, str], ...] = (
    ("Tab", "moves to the next button or field, Shift and Tab back"),
    ("Enter", "presses the button, sends the field"),
    ("Esc", "closes a menu or a dialog"),
    ("?", "shows the keys of a page that has some"),
    ("J K", "next, previous document to grade; ↓ and ↑ do the same"),
    ("1 2 3", "while grading: partly relevant, relevant, exactly this"),
    ("0", "while grading: not relevant"),
    ("X", "while grading: none of the rest is relevant"),
    ("N", "next question or document"),
    ("P", "in the comparison: the question before"),
    ("S", "while judging examples: skip, with a reason"),
    ("U", "undo the last decision"),
    ("F", "while judging examples: flag for later"),
    ("A", "in the review: accept the question"),
    ("R 1-5", "in the review: reject it for that reason; R R without one"),
    ("E", "in the review: write a better question"),
    ("F", "in the review: you cannot tell, somebody else should look"),
    ("S", "in the review: skip, it comes back in ten minutes"),
    ("/", "in the playground: to the question"),
    ("H L", "in the playground: the column beside; ← and → do the same"),
    ("S", "in the playground: save the question"),
    ("B", "in the playground: compare blind"),
    ("1 2 3", "in a blind comparison: the left list, no difference, the right one"),
)
"""Keys of all pages. A key is always printed on its button too, and single keys can be switched off in the profile."""
