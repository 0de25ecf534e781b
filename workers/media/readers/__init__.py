"""Where the keyframes lie, container by container: by an index where there is one, else by reading on."""
