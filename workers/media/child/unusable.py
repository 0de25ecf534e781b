"""Why an index is passed over: the file is read from end to end instead, which finds what there is."""


class UnusableIndexError(Exception):
    """The file has no index, or one that cannot be relied on."""
