"""The commands on servers and who may ask them: `ui`, `keys`."""
