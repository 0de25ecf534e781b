"""The data plane: takes shards, decodes keyframes, captions them and commits the lines."""
