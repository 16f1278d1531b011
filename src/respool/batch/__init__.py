"""The batch half: jobs of many items, pushed through whatever breaks on the way."""
