"""The documentation site: the Markdown of the repository, staged, built by zensical, and looked over."""
