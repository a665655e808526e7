"""``python -m scripts.diagrams``: writes the diagrams into docs/images/."""

from scripts.diagrams.files import FOLDER, texts

if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
