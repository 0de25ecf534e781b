"""The parent's hold on its decoding processes: the fork server, each child, and the memory shared with it."""
