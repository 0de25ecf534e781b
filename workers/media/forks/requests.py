"""What a worker may ask of its fork server, over the control socket that is the fork server's life."""

FORK = b"F"
"""Fork a child; three descriptors come along: its conversation, its memory, and where its obituary goes."""
RETIRE = b"R"
"""Fork no more, and end with the last child."""
REQUEST_DESCRIPTORS = 3
