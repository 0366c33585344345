"""How long does pkg take, and what does the same take without any promise? See scripts/bench."""
