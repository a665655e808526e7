"""LiteLLM: what each of its settings is here; tables apart from what is done with them."""
