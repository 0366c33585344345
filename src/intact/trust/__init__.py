"""Keys, signatures and the trust store."""
