"""What rows look like: running statistics, which prepare keeps too, and what the stage profile adds to them."""

from burnish.data.profile.distribution import Distribution as Distribution
from burnish.data.profile.statistics import Profile as Profile
from burnish.data.profile.statistics import characters as characters
