"""How a prior is asked for: questions, replies, repetition, cache and cost."""
