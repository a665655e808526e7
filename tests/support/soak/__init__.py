"""Half an hour of everything at once: all doors, a cache at work, limits, clients that leave, and all that can fail."""
