"""One module a command: its flags (FLAGS), and `run(flags) -> exit status`."""
