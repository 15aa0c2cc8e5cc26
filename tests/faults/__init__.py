"""Faults with real processes: a load with truth, faults at random moments, and an oracle that trusts no counter of ours."""
