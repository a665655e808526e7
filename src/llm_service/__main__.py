"""``python -m llm_service``: the command line."""

from llm_service.cli import main

if __name__ == "__main__":
    main()
