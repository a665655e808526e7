"""Coverage-guided fuzzing of what reads bytes of strangers: ``scripts/fuzz`` runs it, README.md says how."""
