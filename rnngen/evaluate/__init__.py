"""What is made of log-probabilities."""
