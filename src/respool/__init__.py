"""respool: calls to slow, paid and rate-limited services, pushed through in durable batches."""
