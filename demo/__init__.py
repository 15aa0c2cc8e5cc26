"""The demo: simulated carriers with a known truth, pushed through the HTTP API and checked. Imports no service's code."""
