"""One adapter per HTTP client. Clients are hooked when the user imports them, never by importing them ourselves.

`install()` is called once per process: clients that are already imported are patched at once, the others when their
module has been loaded. Patches are made on the class, by its identity, and marked with their owner: they ask
open_decks.current() on each request, and cost one look-up where no deck is open.
"""
