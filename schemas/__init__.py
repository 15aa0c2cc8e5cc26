"""The contracts: one model a record, its version in its name. Imports nothing else of ours (docs/architecture.md)."""
