"""What a page shows of runs: their list, their curves, their logs."""
