"""Our service beside others on one machine. ``bench/compare`` runs it."""
