"""Acts. The one door to the disk and to other processes."""
