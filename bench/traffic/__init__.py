"""Requests, answers and who sends them: the load and the upstream of measurements, in Python and, faster, in C."""
