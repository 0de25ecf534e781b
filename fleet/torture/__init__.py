"""The proof that anyone can run: the whole fleet on this machine, killed and starved in every way, and a checker that reads storage."""
