"""The command line: parse arguments, call one function of `studio`, print the result. Never imports torch."""
