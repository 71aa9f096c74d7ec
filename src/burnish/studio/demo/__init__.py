"""What `burnish demo` does after its recipe."""
