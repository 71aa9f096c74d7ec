"""Statistics of paired comparisons: intervals, tests, corrections, power, and looks at a part of the rows."""
