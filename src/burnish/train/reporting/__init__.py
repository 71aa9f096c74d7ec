"""What a run reports: metrics, the row ledger, the loss curve, and trackers."""
