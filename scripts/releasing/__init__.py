"""Releases: a version in its places, a section of the changelog, files with their sums, a commit and a tag."""
