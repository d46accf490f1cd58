"""Words that are typical of a topic."""

from __future__ import annotations

import math
from collections import Counter

from sptar_engine.serving.labels import _label, label_topics


def test_label_is_the_words_of_highest_tf_idf() -> None:
    texts = {
        0: ["wing flutter at high speed", "flutter of the wing panel", "the panel of a wing"],
        1: ["heat transfer at high speed", "heat in the boundary layer", "transfer of heat in the layer"],
    }
    assert label_topics(texts) == {0: "wing, flutter, panel", 1: "heat, layer, transfer"}


def test_worth_of_a_word_by_hand() -> None:
    # Of 2 texts of this topic and 4 in all: "common" stands in 2 and 4, 1 * ln(5/4); "own" in 2 and 2, 1 * ln(5/2).
    assert math.log(5 / 4) < math.log(5 / 2)
    label = _label(Counter(common=2, own=2), Counter(common=4, own=2), texts=2, total=4)
    assert label == "own, common"


def test_word_of_one_document_only_is_not_typical() -> None:
    texts = {0: ["wing misprynt", "wing", "wing"], 1: ["heat", "heat"]}
    assert label_topics(texts)[0] == "wing"


def test_stop_words_numbers_and_forms_of_a_word_do_not_count_twice() -> None:
    texts = {0: ["the wing and wings theory 1958 theories", "which wing wings theory theories 42"]}
    assert label_topics(texts) == {0: "theories, wing"}


def test_topic_without_words_is_called_by_its_number() -> None:
    assert label_topics({0: ["12 34", "!?"], 1: []}) == {0: "Topic 1", 1: "Topic 2"}


def test_words_of_other_scripts_count() -> None:
    assert label_topics({0: ["крыло самолета", "крыло птицы"]}) == {0: "крыло"}
