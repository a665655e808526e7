"""OTLP over HTTP: what is sent to a collector, how it is written, and how it gets there."""
