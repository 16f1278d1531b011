"""The web door: an HTTP API over the spool, a stream of its events, and one page for people. `respool serve` starts it.

    settings → registered tasks        what may be submitted, and the JSON schema of its payloads
    gate                               who may come in: Host, token, cookie, forms
    submissions                        the one identity of a submission, and its way into the spool
    conductor, pulse                   runs what is due, or leaves it to the live runner; tells that something changed
    api, events, page                  what is answered
"""
