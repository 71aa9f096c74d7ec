"""Model evaluation: scores, likelihoods, confidence intervals, and paired comparisons."""
