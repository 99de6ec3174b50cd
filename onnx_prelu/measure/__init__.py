"""What a rewrite did: checks, latency and cost. Knows models, never a form."""
