"""Which test plays which cassette: what a scan of the test files says, what runs observed, and the two joined."""
