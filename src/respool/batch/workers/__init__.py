"""Where attempts run: in the event loop, in threads, in processes, as commands, on any executor."""
