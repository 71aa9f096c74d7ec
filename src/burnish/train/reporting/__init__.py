"""What a run reports: metrics, the row ledger and the loss curve."""
