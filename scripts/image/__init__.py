"""The container image without an engine: its Dockerfile as data, its file tree in a folder, and a run of it."""
