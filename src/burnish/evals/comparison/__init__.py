"""The comparison of several candidates on the same rows: claims, gates, regression sets, and the report."""
