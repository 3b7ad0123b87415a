"""What a trained network is worth: scores of its test cases, what its gates do, and its export as a model."""
