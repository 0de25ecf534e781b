"""What locks a decoding child, layer by layer, and the attacks that try the lock."""
