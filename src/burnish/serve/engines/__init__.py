"""The engines that the server can put behind itself, each in a process of its own."""
