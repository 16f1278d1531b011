"""Recording the cassettes of a whole test suite again: in parallel, resumable, and never losing a good one."""
