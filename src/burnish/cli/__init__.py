"""The command line: parse, call one studio verb, render. It starts in under 300 ms and never imports torch."""
