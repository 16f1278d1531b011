-- Schema 1 of a spool. Instants are UTC microseconds. What must always hold is said here, not in code.
-- A list of more than two after IN would be built anew for every row written, which costs more than the row: hence OR.

CREATE TABLE spool (
  id         TEXT NOT NULL,
  created_at INTEGER NOT NULL
);

-- One row for every run of a runner. The nonce names its attempts' receipts.
CREATE TABLE sessions (
  id         INTEGER PRIMARY KEY,
  nonce      TEXT NOT NULL UNIQUE,
  pid        INTEGER NOT NULL,
  host       TEXT NOT NULL,
  workers    TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  ending     TEXT
);

-- Facts only: a job's state is derived from them and from its items.
CREATE TABLE jobs (
  id             INTEGER PRIMARY KEY,
  name           TEXT NOT NULL UNIQUE,
  task           TEXT NOT NULL,
  version        TEXT NOT NULL,
  settings       TEXT NOT NULL,
  source         TEXT NOT NULL,
  source_digest  TEXT,             -- of the task's code when it last ran
  code_changed_at INTEGER,         -- results ended before this instant were made by other code
  generation     INTEGER NOT NULL DEFAULT 1,
  parent_id      INTEGER REFERENCES jobs(id),
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL,
  sealed_at      INTEGER,
  ended_at       INTEGER,
  revision       INTEGER NOT NULL DEFAULT 0,   -- grows whenever the job's results change
  no_cache       INTEGER NOT NULL DEFAULT 0,
  paused_at      INTEGER,
  paused_reason  TEXT,
  resume_at      INTEGER,
  cancelled_at   INTEGER,
  skipped_reason TEXT,
  streak_kind    TEXT,
  streak_count   INTEGER NOT NULL DEFAULT 0,
  streak_since   INTEGER NOT NULL DEFAULT 0,
  unindexed_from INTEGER           -- items of this id and above are not in fingerprints yet: it is not sealed
);

CREATE TABLE blocks (
  id     INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES jobs(id),
  digest TEXT NOT NULL,
  start  INTEGER NOT NULL
);
CREATE INDEX blocks_of_job ON blocks(job_id, start);

CREATE TABLE items (
  id             INTEGER PRIMARY KEY,
  job_id         INTEGER NOT NULL REFERENCES jobs(id),
  key            TEXT NOT NULL,
  fingerprint    TEXT NOT NULL,
  block_id       INTEGER,
  position       INTEGER NOT NULL,
  state          TEXT NOT NULL DEFAULT 'pending'
                 CHECK (state = 'pending' OR state = 'running' OR state = 'done' OR state = 'cached'
                        OR state = 'skipped' OR state = 'failed' OR state = 'cancelled'),
  reason         TEXT,
  kind           TEXT,
  message        TEXT,
  attempts       INTEGER NOT NULL DEFAULT 0,
  failures       INTEGER NOT NULL DEFAULT 0,
  crashes        INTEGER NOT NULL DEFAULT 0,
  runner_deaths  INTEGER NOT NULL DEFAULT 0,
  waited         INTEGER NOT NULL DEFAULT 0,
  not_before     INTEGER NOT NULL DEFAULT 0,
  led_by         INTEGER,           -- an item with the same fingerprint that runs first
  generation     INTEGER NOT NULL DEFAULT 1,
  result_item    INTEGER,
  result_attempt INTEGER,
  ended_at       INTEGER,
  UNIQUE (job_id, key),
  CHECK ((state IN ('done', 'cached')) = (result_item IS NOT NULL)),
  CHECK ((result_item IS NULL) = (result_attempt IS NULL)),
  CHECK (state <> 'failed' OR kind IS NOT NULL)
);
CREATE INDEX items_by_state ON items(job_id, state, not_before, position);
CREATE INDEX items_led ON items(led_by) WHERE led_by IS NOT NULL;
CREATE INDEX items_by_block ON items(block_id) WHERE block_id IS NOT NULL;

-- The items by fingerprint, filled at the seal and in the order of the fingerprints: an index on items would be written
-- at a random place for each new row, and most of taking in a million items would be that.
CREATE TABLE fingerprints (
  fingerprint TEXT NOT NULL,
  item_id     INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, item_id)
) WITHOUT ROWID;
CREATE TRIGGER item_has_new_fingerprint AFTER UPDATE OF fingerprint ON items WHEN old.fingerprint <> new.fingerprint
BEGIN
  DELETE FROM fingerprints WHERE fingerprint = old.fingerprint AND item_id = old.id;
  INSERT OR IGNORE INTO fingerprints (fingerprint, item_id) VALUES (new.fingerprint, new.id);
END;
CREATE TRIGGER item_is_gone AFTER DELETE ON items
BEGIN
  DELETE FROM fingerprints WHERE fingerprint = old.fingerprint AND item_id = old.id;
END;

-- Apart from items, so that a change of state does not rewrite the payload.
CREATE TABLE payloads (
  item_id INTEGER PRIMARY KEY REFERENCES items(id),
  payload TEXT NOT NULL
);

-- Append-only: a row is written before the try starts and closed once when it has ended.
CREATE TABLE attempts (
  item_id    INTEGER NOT NULL REFERENCES items(id),
  number     INTEGER NOT NULL,
  session_id INTEGER NOT NULL REFERENCES sessions(id),
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  outcome    TEXT NOT NULL DEFAULT 'running'
             CHECK (outcome = 'running' OR outcome = 'done' OR outcome = 'skipped' OR outcome = 'failed'
                    OR outcome = 'later' OR outcome = 'interrupted'),
  kind       TEXT,
  message    TEXT,
  detail     TEXT,
  PRIMARY KEY (item_id, number),
  CHECK ((outcome = 'running') = (ended_at IS NULL))
) WITHOUT ROWID;

-- What a successful try gave, where it gave anything. Above 64 KB `file` names it by content.
CREATE TABLE results (
  item_id INTEGER NOT NULL,
  number  INTEGER NOT NULL,
  result  TEXT,
  file    TEXT,
  outputs TEXT,
  note    TEXT,
  UNIQUE (item_id, number),
  FOREIGN KEY (item_id, number) REFERENCES attempts(item_id, number)
);

-- Results whose item has moved on to another payload; still good for whoever asks for theirs.
CREATE TABLE archive (
  fingerprint TEXT NOT NULL,
  item_id     INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  job_id      INTEGER NOT NULL REFERENCES jobs(id),
  generation  INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, item_id, number)
) WITHOUT ROWID;
CREATE INDEX archive_of_item ON archive(item_id);

CREATE TABLE events (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  job_id  INTEGER,
  item_id INTEGER,
  attempt INTEGER,
  type    TEXT NOT NULL,
  data    TEXT
);

-- What to do when a job has ended. One child for each rule, brought up to date whenever the parent's results changed.
CREATE TABLE rules (
  job_id   INTEGER NOT NULL REFERENCES jobs(id),
  ordinal  INTEGER NOT NULL,
  task     TEXT NOT NULL,
  version  TEXT NOT NULL,
  settings TEXT NOT NULL,
  run_on   TEXT NOT NULL CHECK (run_on IN ('success', 'finish')),
  child_id INTEGER REFERENCES jobs(id),
  revision INTEGER,                -- the parent's revision that the child was last made from
  PRIMARY KEY (job_id, ordinal)
) WITHOUT ROWID;

-- What others than the runner ask for; only the holder of the owner lock moves the states of items.
CREATE TABLE requests (
  id        INTEGER PRIMARY KEY,
  at        INTEGER NOT NULL,
  verb      TEXT NOT NULL CHECK (verb IN ('submit', 'retry', 'cancel', 'run')),
  job_id    INTEGER NOT NULL REFERENCES jobs(id),
  arguments TEXT NOT NULL,
  ready_at  INTEGER,               -- a submission is ready when all its blocks are staged
  done_at   INTEGER
);
CREATE TABLE staged_blocks (
  request_id INTEGER NOT NULL REFERENCES requests(id),
  ordinal    INTEGER NOT NULL,
  digest     TEXT NOT NULL,
  start      INTEGER NOT NULL,
  kept       INTEGER,
  rows       TEXT,                 -- JSON [[key, payload, fingerprint], ...]
  PRIMARY KEY (request_id, ordinal)
);

-- The content of files by size, time and inode, so that an unchanged file is not read again.
CREATE TABLE file_digests (
  path   TEXT PRIMARY KEY,
  size   INTEGER NOT NULL,
  mtime  INTEGER NOT NULL,
  inode  INTEGER NOT NULL,
  digest TEXT NOT NULL
) WITHOUT ROWID;
