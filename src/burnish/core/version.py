"""The version of this package, as records, plans and `burnish --version` name it."""

VERSION = "0.1.0"
