"""What tests share: a workshop for bundles and roots, and a disk that fails on demand."""
