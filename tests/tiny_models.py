"""Random models small enough to build in a second: they learn nothing, but every contract holds for them."""

from __future__ import annotations

import re
import string
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import toy_data

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_VOCABULARY = 400
_HIDDEN = 32
_WINDOW = 1024  # tokens: room for a soft prompt, four examples and a document
_SPREAD = 0.2  # standard deviation of the weights: large enough that two best logits hardly ever tie


def write_llama(folder: Path) -> None:
    """Llama with grouped-query attention; special tokens as SmolLM2's, where <|im_end|> ends and pads."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _byte_level_tokenizer(eos_token="<|im_end|>", pad_token="<|im_end|>", bos_token="<|im_start|>")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=_HIDDEN, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=_WINDOW, tie_word_embeddings=True,
        initializer_range=_SPREAD, **_special_ids(tokenizer),
    )  # fmt: skip
    _save(LlamaForCausalLM, config, tokenizer, folder)


def write_gpt2(folder: Path) -> None:
    """GPT-2: learned absolute positions, so a mistake with positions shows; one special token for all roles."""
    from transformers import GPT2Config, GPT2LMHeadModel

    end = "<|endoftext|>"
    tokenizer = _byte_level_tokenizer(eos_token=end, pad_token=end, bos_token=end)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=_HIDDEN, n_layer=2, n_head=2, n_positions=_WINDOW,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=_SPREAD, **_special_ids(tokenizer),
    )  # fmt: skip
    _save(GPT2LMHeadModel, config, tokenizer, folder)


def write_encoder(folder: Path) -> None:
    """BERT with mean pooling and normalisation, as all-MiniLM-L6-v2, in 32 dimensions."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    tokenizer = _word_piece_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=_HIDDEN, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as bare:
        _save(BertModel, config, tokenizer, Path(bare))
        transformer = Transformer(bare, max_seq_length=256)
    modules = [transformer, Pooling(_HIDDEN, pooling_mode="mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)


def _texts() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        toy_data.write(Path(folder))
        files = [Path(folder) / name for name in ("corpus.jsonl", "queries.jsonl")]
        return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def _byte_level_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 400 tokens: any text goes in and comes out unchanged, as with the real models."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=sorted(set(special.values())), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=_WINDOW, clean_up_tokenization_spaces=False, **special
    )


def _word_piece_tokenizer() -> PreTrainedTokenizerFast:
    """WordPiece with the toy dataset's words and the letters. Listed, not trained: its trainer's result varies."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = sorted({word for text in _texts() for word in re.findall("[a-z]{2,}", text.lower())})
    pieces = [*special.values(), *letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(special[end], vocabulary[special[end]]) for end in ("sep", "cls")]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    names = {f"{name}_token": token for name, token in special.items()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, **names)


def _special_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}


def _save(model_class: Any, config: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Draw the weights from a fixed seed without touching the generator of the test that asked."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
