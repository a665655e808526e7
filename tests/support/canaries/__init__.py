"""Texts that must not come out where they do not belong: planted in all that goes in, sought in all that comes out."""
