"""Other stream processors on the same fold and the same topic, each in an environment of its own."""
