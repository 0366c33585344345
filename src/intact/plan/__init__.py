"""Pure. Decisions: what is wanted, owned and observed goes in, actions or conflicts come out."""
