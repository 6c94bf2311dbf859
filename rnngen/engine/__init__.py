"""The trained model in numpy and C: weights, ids and state to logits, and what is made of them. No torch."""
