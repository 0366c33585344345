"""Acts. Stage, commit, roll back, recover; the phase table; the journal."""
