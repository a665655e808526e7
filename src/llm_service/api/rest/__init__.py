"""The REST surface, in OpenAI's form."""
