"""``python -m scripts.reference``: writes docs/reference/."""

from scripts.reference.pages import FOLDER, texts

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
