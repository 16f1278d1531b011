-- The walk over the tables of a damaged spool; {table} and {column} are filled in by salvage.py from its own list.

-- name: can_read_schema
SELECT count(*) FROM sqlite_master;

-- name: columns
SELECT count(*) FROM pragma_table_info(?);

-- name: last
SELECT max({column}) FROM {table};

-- name: first
SELECT min({column}) FROM {table};

-- name: up
SELECT {column}, * FROM {table} WHERE {column} BETWEEN ? AND ? ORDER BY {column};

-- name: down
SELECT {column}, * FROM {table} WHERE {column} BETWEEN ? AND ? ORDER BY {column} DESC;

-- name: all_up
SELECT 0, * FROM {table} ORDER BY {column};

-- name: all_down
SELECT 0, * FROM {table} ORDER BY {column} DESC;

-- name: insert
INSERT INTO {table} VALUES ({values});

-- name: empty
DELETE FROM {table};

-- name: result_names
SELECT item_id, number FROM results INDEXED BY sqlite_autoindex_results_1;

-- name: item_names
SELECT job_id, key FROM items INDEXED BY sqlite_autoindex_items_1;

-- name: has_item
SELECT 1 FROM items WHERE job_id = ? AND key = ?;

-- name: has_result
SELECT 1 FROM results WHERE item_id = ? AND number = ?;

-- name: count
SELECT count(*) FROM {table};

-- name: fingerprints
INSERT OR IGNORE INTO fingerprints (fingerprint, item_id) SELECT fingerprint, id FROM items ORDER BY fingerprint;
