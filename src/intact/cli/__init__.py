"""Acts. Words on the screen, exit codes, the environment, the clock."""
