"""Several processes that run one step together: one that supervises them, and what each of them does."""
