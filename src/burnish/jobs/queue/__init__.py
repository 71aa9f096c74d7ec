"""The queue: jobs in a database, leased by workers, with fences instead of trust and observation instead of clocks."""
