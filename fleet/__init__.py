"""The operator's room: the command line, the one-machine run, status, audit and dead letters."""
