"""Pure. The vocabulary: paths, versions, entries, actions, errors and ceilings. Imports nothing of ours."""
