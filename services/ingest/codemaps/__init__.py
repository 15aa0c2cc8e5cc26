"""What partners' own status codes mean: a data file a partner, standard and version. See docs/standards/codemaps.md."""
