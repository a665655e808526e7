"""How many tokens a text or a chat has, before a provider says so."""

from llm_service.tokens.base import TokenCount, Tokenizer, TokenizerUnavailable
from llm_service.tokens.bound import bound_input_tokens
from llm_service.tokens.registry import Tokenizers
from llm_service.tokens.size import PromptSize

__all__ = ["PromptSize", "TokenCount", "Tokenizer", "TokenizerUnavailable", "Tokenizers", "bound_input_tokens"]
