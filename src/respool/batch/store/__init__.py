"""The durable store of a spool: SQLite behind four small doors.

`connection` opens, writes and translates errors · `intake` takes in jobs and items · `ledger` claims and settles ·
`reading` answers questions. SQL is in `queries.sql`, what must always hold in `schema.sql`.
"""
