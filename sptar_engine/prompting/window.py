"""Whether prompt, document and query fit into what a language model looks at."""

from __future__ import annotations

from sptar_engine.errors import ConfigError
from sptar_engine.prompting.soft_prompt import LanguageModel


def check_window(language_model: LanguageModel, needed: int, option: str) -> None:
    """Raise ConfigError, naming the `option` to lower, when that many tokens are more than the model looks at."""
    settings = language_model.model.config.get_text_config()
    limits = (getattr(settings, name, None) for name in ("max_position_embeddings", "sliding_window"))
    window = min((limit for limit in limits if limit), default=needed)
    if needed > window:
        reason = f"prompt, document and query can take {needed} tokens, and this model looks at {window}; lower it"
        raise ConfigError(option, reason)
