"""Acts. What this root remembers: the database, the history, the lock."""
