"""The proof: crashes, power cuts, faults and observers, against the real command on real filesystems."""
