"""The command line: one module per sub-command, each light until it runs."""
