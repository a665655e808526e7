"""Answers to questions that were asked in other words: which are alike, and which differ all the same."""
