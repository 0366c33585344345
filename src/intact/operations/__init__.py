"""Acts. Install, remove, roll back, verify: each reads like the pipeline."""
