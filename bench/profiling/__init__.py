"""Where the time and the calls of a request go, by the parts that it goes through. ``bench/profile`` runs it."""
