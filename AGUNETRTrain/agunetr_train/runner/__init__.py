"""Running the jobs of an experiment: one after the other, several at once, or each by a scheduler of one's own."""
