"""Record what a service said, once, and play it back exactly. The façade is respool.cassette.recording."""
