"""Generated input for every parser: nothing but our own errors may come out of them."""
