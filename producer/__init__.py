"""The control plane: enumerates videos, plans shards durably and keeps a bounded window of them queued."""
