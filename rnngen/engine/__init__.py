"""The trained model in numpy and C: from weights, ids and state to logits, samples and log-probabilities. No torch."""
