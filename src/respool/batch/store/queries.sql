-- Every statement that respool sends, by name. Parameters are positional.

-- name: insert_spool
INSERT INTO spool (id, created_at) VALUES (?, ?);

-- name: spool_id
SELECT id FROM spool;

-- ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: insert_session
INSERT INTO sessions (nonce, pid, host, workers, started_at) VALUES (?, ?, ?, ?, ?);

-- name: end_session
UPDATE sessions SET ended_at = ?, ending = ? WHERE id = ?;

-- name: open_sessions
SELECT id, nonce, pid, host, started_at FROM sessions WHERE ended_at IS NULL AND id <> ?;

-- name: latest_session
SELECT nonce, pid, host, workers, started_at, ended_at, ending FROM sessions ORDER BY id DESC LIMIT 1;

-- ── claiming ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: candidates_due
SELECT i.id, i.key, i.fingerprint, i.attempts, p.payload, i.failures, i.crashes, i.waited, i.runner_deaths
FROM items i JOIN payloads p ON p.item_id = i.id
WHERE i.job_id = ? AND i.state = 'pending' AND i.not_before > 0 AND i.not_before <= ?
ORDER BY i.not_before, i.position LIMIT ?;

-- name: candidates_fresh
SELECT i.id, i.key, i.fingerprint, i.attempts, p.payload, i.failures, i.crashes, i.waited, i.runner_deaths
FROM items i JOIN payloads p ON p.item_id = i.id
WHERE i.job_id = ? AND i.state = 'pending' AND i.not_before = 0
ORDER BY i.position LIMIT ?;

-- name: candidates_selected
SELECT i.id, i.key, i.fingerprint, i.attempts, p.payload, i.failures, i.crashes, i.waited, i.runner_deaths
FROM json_each(?) s CROSS JOIN items i ON i.id = s.value JOIN payloads p ON p.item_id = i.id
WHERE i.state = 'pending' AND i.not_before <= ? AND i.led_by IS NULL
ORDER BY i.position LIMIT ?;

-- name: same_fingerprint
SELECT o.fingerprint, o.id, o.state, o.result_item, o.result_attempt, o.job_id, o.generation, o.ended_at, r.outputs
FROM json_each(?) f CROSS JOIN fingerprints x ON x.fingerprint = f.value
CROSS JOIN items o ON o.id = x.item_id AND o.state IN ('done', 'running')
LEFT JOIN results r ON r.item_id = o.result_item AND r.number = o.result_attempt;

-- name: archived_fingerprint
SELECT a.fingerprint, a.item_id, a.number, a.job_id, a.generation, r.outputs
FROM json_each(?) f CROSS JOIN archive a ON a.fingerprint = f.value
LEFT JOIN results r ON r.item_id = a.item_id AND r.number = a.number;

-- name: any_archive
SELECT EXISTS (SELECT 1 FROM archive);

-- name: start_item
UPDATE items SET state = 'running', attempts = ?, not_before = 0
WHERE id = ? AND state = 'pending';

-- name: start_attempt
INSERT INTO attempts (item_id, number, session_id, started_at) VALUES (?, ?, ?, ?);

-- name: cache_item
UPDATE items SET state = 'cached', result_item = ?, result_attempt = ?, ended_at = ?, kind = NULL, message = NULL,
  not_before = 0, led_by = NULL
WHERE id = ? AND state = 'pending';

-- name: follow_item
-- Only while the leader runs: it may have ended in this very beat, and would then release nobody any more.
UPDATE items SET led_by = ?1, not_before = 4611686018427387904
WHERE id = ?2 AND state = 'pending' AND EXISTS (SELECT 1 FROM items l WHERE l.id = ?1 AND l.state = 'running');

-- name: latest_stamp
-- Since the clock is known to have been set back. The very last events may be those of a submission after that.
WITH recent AS (SELECT seq, at, type FROM events ORDER BY seq DESC LIMIT 1000)
SELECT max(coalesce((SELECT max(at) FROM recent
                     WHERE seq > coalesce((SELECT max(seq) FROM recent WHERE type = 'clock_set_back'), 0)), 0),
           coalesce((SELECT started_at FROM sessions ORDER BY id DESC LIMIT 1), 0));

-- name: bring_waits_back
-- What waits until ?1 + x, as seen from the last event, waits until x from now.
UPDATE items SET not_before = max(1, not_before - ?2)
WHERE state = 'pending' AND not_before > ?1 AND not_before < 4611686018427387904;

-- name: next_due
SELECT min(not_before) FROM items
WHERE job_id = ? AND state = 'pending' AND not_before > 0 AND not_before < 4611686018427387904;

-- ── settling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: close_attempt_done
UPDATE attempts SET ended_at = ?, outcome = 'done' WHERE item_id = ? AND number = ?;

-- name: close_attempt
UPDATE attempts SET ended_at = ?, outcome = ?, kind = ?, message = ?, detail = ? WHERE item_id = ? AND number = ?;

-- name: settle_done
UPDATE items SET state = 'done', result_item = id, result_attempt = attempts, ended_at = ?, kind = NULL, message = NULL,
  reason = NULL, runner_deaths = 0
WHERE id = ?;

-- name: settle_item
-- An item that gives an answer is not what kills its runner; one that crashed, or was interrupted, still may be.
UPDATE items SET state = ?1, reason = ?2, kind = ?3, message = ?4, not_before = ?5, failures = ?6, crashes = ?7,
  waited = ?8, ended_at = ?9,
  runner_deaths = CASE WHEN ?3 = 'crashed' OR (?3 IS NULL AND ?1 = 'pending') THEN runner_deaths ELSE 0 END
WHERE id = ?10;

-- name: insert_result
INSERT INTO results (item_id, number, result, file, outputs, note) VALUES (?, ?, ?, ?, ?, ?);

-- name: insert_event
INSERT INTO events (at, job_id, item_id, attempt, type, data) VALUES (?, ?, ?, ?, ?, ?);

-- name: followers_cached
UPDATE items SET state = 'cached', result_item = ?, result_attempt = ?, ended_at = ?, led_by = NULL, not_before = 0,
  kind = NULL, message = NULL
WHERE led_by = ? AND state = 'pending' RETURNING id, job_id;

-- name: followers_freed
UPDATE items SET led_by = NULL, not_before = 0 WHERE led_by = ? AND state = 'pending';

-- name: any_followers
SELECT EXISTS (SELECT 1 FROM items WHERE led_by IS NOT NULL);

-- name: mismatched_item
UPDATE items SET state = 'pending', not_before = 0, result_item = NULL, result_attempt = NULL WHERE id = ?;

-- name: drop_item
UPDATE items SET state = 'cancelled', reason = ?, kind = NULL, message = NULL, not_before = 0, led_by = NULL,
  result_item = NULL, result_attempt = NULL, ended_at = ?
WHERE id = ?;

-- name: give_back_streak
UPDATE items SET state = 'pending', failures = 0, not_before = 0, reason = 'given back by the breaker'
WHERE job_id = ? AND kind = ? AND state IN ('pending', 'failed') AND ended_at >= ?;

-- ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: insert_job
INSERT INTO jobs (name, task, version, settings, source, parent_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_job
UPDATE jobs SET task = ?, version = ?, settings = ?, updated_at = ?, sealed_at = NULL, skipped_reason = NULL
WHERE id = ?;

-- name: note_code
UPDATE jobs SET source_digest = ?, code_changed_at = ? WHERE id = ?;

-- name: seal_job
UPDATE jobs SET sealed_at = ?, updated_at = ?, source = ?, cancelled_at = NULL, paused_at = NULL, paused_reason = NULL,
  resume_at = NULL, skipped_reason = NULL, no_cache = ?, streak_kind = NULL, streak_count = 0, unindexed_from = NULL
WHERE id = ?;

-- name: note_unindexed
UPDATE jobs SET unindexed_from = ? WHERE id = ? AND unindexed_from IS NULL;

-- name: index_fingerprints
INSERT OR IGNORE INTO fingerprints (fingerprint, item_id)
SELECT i.fingerprint, i.id FROM jobs j CROSS JOIN items i ON i.id >= j.unindexed_from AND +i.job_id = j.id
WHERE j.id = ? ORDER BY i.fingerprint;

-- name: jobs
SELECT id, name, task, version, settings, source, generation, created_at, updated_at, sealed_at, ended_at, paused_at,
  paused_reason, resume_at, cancelled_at, skipped_reason, parent_id, source_digest
FROM jobs ORDER BY id;

-- name: job_by_id
SELECT id, name, task, version, settings, source, generation, created_at, updated_at, sealed_at, ended_at, paused_at,
  paused_reason, resume_at, cancelled_at, skipped_reason, parent_id, source_digest
FROM jobs WHERE id = ?;

-- name: job_by_name
SELECT id, name, task, version, settings, source, generation, created_at, updated_at, sealed_at, ended_at, paused_at,
  paused_reason, resume_at, cancelled_at, skipped_reason, parent_id, source_digest
FROM jobs WHERE name = ?;

-- name: job_facts
SELECT sealed_at, revision, no_cache, streak_kind, streak_count, streak_since, code_changed_at FROM jobs WHERE id = ?;

-- name: counts
-- A follow-up's '@items', which makes the others, is no item of the user's: it counts only while it is open, or failed.
SELECT i.state, count(*) - EXISTS (SELECT 1 FROM items e WHERE e.job_id = ?1 AND e.key = '@items' AND e.state = i.state
  AND e.state NOT IN ('pending', 'running', 'failed')) AS many
FROM items i WHERE i.job_id = ?1 GROUP BY i.state HAVING many > 0;

-- name: all_counts
SELECT i.job_id, i.state, count(*) - EXISTS (SELECT 1 FROM items e WHERE e.job_id = i.job_id AND e.key = '@items'
  AND e.state = i.state AND e.state NOT IN ('pending', 'running', 'failed')) AS many
FROM items i GROUP BY i.job_id, i.state HAVING many > 0;

-- name: has_open_items
SELECT EXISTS (SELECT 1 FROM items WHERE job_id = ? AND state IN ('pending', 'running'));

-- name: has_state
SELECT EXISTS (SELECT 1 FROM items WHERE job_id = ? AND state = ?);

-- name: descendants
WITH RECURSIVE family(id) AS (SELECT ? UNION SELECT j.id FROM jobs j JOIN family f ON j.parent_id = f.id)
SELECT id FROM family ORDER BY id;

-- name: open_jobs
SELECT j.id FROM jobs j
WHERE (j.sealed_at IS NOT NULL OR j.parent_id IS NOT NULL) AND j.skipped_reason IS NULL AND j.cancelled_at IS NULL
  AND EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state IN ('pending', 'running'))
ORDER BY j.id;

-- name: bump_revision
UPDATE jobs SET revision = revision + 1, updated_at = ? WHERE id = ?;

-- name: end_job
UPDATE jobs SET ended_at = ?, updated_at = ? WHERE id = ?;

-- name: reopen_job
UPDATE jobs SET ended_at = NULL, updated_at = ? WHERE id = ?;

-- name: pause_job
UPDATE jobs SET paused_at = ?, paused_reason = ?, resume_at = ?, updated_at = ? WHERE id = ?;

-- name: unpause_job
UPDATE jobs SET paused_at = NULL, paused_reason = NULL, resume_at = NULL, streak_kind = NULL, streak_count = 0
WHERE id = ? AND paused_at IS NOT NULL;

-- name: save_streak
UPDATE jobs SET streak_kind = ?, streak_count = ?, streak_since = ? WHERE id = ?;

-- name: skip_job
UPDATE jobs SET skipped_reason = ?, sealed_at = coalesce(sealed_at, ?), ended_at = ?, updated_at = ? WHERE id = ?;

-- name: cancel_job
UPDATE jobs SET cancelled_at = ?, updated_at = ? WHERE id = ?;

-- name: uncancel_job
UPDATE jobs SET cancelled_at = NULL WHERE id = ?;

-- name: has_cancelled_items
-- Of those that are part of the job: what is withdrawn is none.
SELECT EXISTS (SELECT 1 FROM items WHERE job_id = ? AND state = 'cancelled' AND reason = 'cancelled');

-- name: cancel_items
UPDATE items SET state = 'cancelled', reason = 'cancelled', not_before = 0, led_by = NULL, ended_at = ?
WHERE job_id = ? AND state = 'pending';

-- ── follow-ups ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: rules
SELECT ordinal, task, version, settings, run_on, child_id, revision FROM rules WHERE job_id = ? ORDER BY ordinal;

-- name: delete_rules
DELETE FROM rules WHERE job_id = ? AND ordinal >= ?;

-- name: save_rule
-- Another version of what follows is owed to the same results again.
INSERT INTO rules (job_id, ordinal, task, version, settings, run_on) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (job_id, ordinal) DO UPDATE SET
  task = excluded.task, version = excluded.version, settings = excluded.settings, run_on = excluded.run_on,
  child_id = CASE WHEN rules.task = excluded.task THEN rules.child_id END,
  revision = CASE WHEN rules.task = excluded.task AND rules.version = excluded.version THEN rules.revision END;

-- name: deliver_rule
UPDATE rules SET child_id = ?, revision = ? WHERE job_id = ? AND ordinal = ?;

-- name: undelivered_rules
SELECT j.id, j.name, r.ordinal, r.task FROM jobs j JOIN rules r ON r.job_id = j.id
WHERE j.ended_at IS NOT NULL AND (r.revision IS NULL OR r.revision <> j.revision)
  AND (r.run_on = 'finish'
       OR NOT EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state IN ('failed', 'cancelled')
                      AND coalesce(i.reason, '') <> 'withdrawn'));

-- name: expansion_item
SELECT id, state, fingerprint FROM items WHERE job_id = ? AND key = '@items';

-- name: results_of_job
SELECT i.key, p.payload, r.result, r.file FROM items i JOIN payloads p ON p.item_id = i.id
LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.job_id = ? AND i.state IN ('done', 'cached') AND i.key <> '@items' ORDER BY i.position;

-- ── submissions ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: blocks_of_job
SELECT id, digest, start FROM blocks WHERE job_id = ? ORDER BY start;

-- name: insert_block
INSERT INTO blocks (job_id, digest, start) VALUES (?, ?, ?);

-- name: move_items_of_block
UPDATE items SET position = position + ? WHERE block_id = ?;

-- name: move_block
UPDATE blocks SET start = ? WHERE id = ?;

-- name: void_block
-- Its items are about to stand in other blocks: if the submission ends here, the next may not take it for whole.
UPDATE blocks SET digest = 'void:' || id WHERE id = ?;

-- name: delete_block
DELETE FROM blocks WHERE id = ?;

-- name: items_by_key
SELECT i.key, i.id, i.fingerprint, i.state, i.reason, i.block_id, i.position, i.not_before
FROM json_each(?2) k CROSS JOIN items i ON i.job_id = ?1 AND i.key = k.value;

-- name: insert_item
INSERT INTO items (id, job_id, key, fingerprint, block_id, position, reason, generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_payload
INSERT INTO payloads (item_id, payload) VALUES (?, ?);

-- name: replace_payload
UPDATE payloads SET payload = ? WHERE item_id = ?;

-- name: last_item_id
SELECT coalesce(max(id), 0) FROM items;

-- name: archive_item
INSERT OR IGNORE INTO archive (fingerprint, item_id, number, job_id, generation)
SELECT fingerprint, id, result_attempt, job_id, generation FROM items WHERE id = ? AND state = 'done';

-- name: archive_attempt
INSERT OR IGNORE INTO archive (fingerprint, item_id, number, job_id, generation)
SELECT ?, id, ?, job_id, generation FROM items WHERE id = ?;

-- name: change_item
UPDATE items SET fingerprint = ?, block_id = ?, position = ?, reason = ?, kind = NULL, message = NULL, failures = 0,
  crashes = 0, waited = 0, not_before = 0, led_by = NULL, ended_at = NULL,
  state = CASE WHEN state = 'running' THEN 'running' ELSE 'pending' END,
  result_item = NULL, result_attempt = NULL
WHERE id = ?;

-- name: keep_item
UPDATE items SET block_id = ?, position = ?,
  reason = CASE WHEN state = 'running' AND reason = 'withdrawn' THEN 'back in the input' ELSE reason END
WHERE id = ?;

-- name: withdraw_running_item
-- It goes on to be its runner's (or the next one's) to end; who ends it sees that nobody wants it any more.
UPDATE items SET reason = 'withdrawn', block_id = NULL WHERE id = ?;

-- name: items_of_block
SELECT id, state FROM items WHERE block_id = ?;

-- name: withdraw_item
UPDATE items SET state = 'cancelled', reason = 'withdrawn', block_id = NULL, result_item = NULL, result_attempt = NULL,
  not_before = 0, led_by = NULL, ended_at = ?
WHERE id = ?;

-- name: archive_job
INSERT OR IGNORE INTO archive (fingerprint, item_id, number, job_id, generation)
SELECT fingerprint, id, result_attempt, job_id, generation FROM items WHERE job_id = ? AND state = 'done';

-- name: new_generation
UPDATE jobs SET generation = generation + 1 WHERE id = ? RETURNING generation;

-- name: reset_items
UPDATE items SET state = 'pending', reason = ?, kind = NULL, message = NULL, failures = 0, crashes = 0, waited = 0,
  runner_deaths = 0, not_before = 0, led_by = NULL, ended_at = NULL, generation = ?, result_item = NULL,
  result_attempt = NULL
WHERE job_id = ? AND state NOT IN ('running', 'cancelled');

-- name: renew_running
-- What runs now, or was left running by a dead runner, answers for the new generation too: its equals follow it.
UPDATE items SET generation = ? WHERE job_id = ? AND state = 'running';

-- name: revive_cancelled
UPDATE items SET state = 'pending', reason = 'was cancelled', ended_at = NULL WHERE job_id = ? AND state = 'cancelled'
  AND reason = 'cancelled';

-- name: retry_failed
UPDATE items SET state = 'pending', reason = 'retry asked for', failures = 0, crashes = 0, waited = 0, runner_deaths = 0,
  not_before = 0, ended_at = NULL
WHERE job_id = ?1 AND state = 'failed' AND (?2 IS NULL OR kind = ?2)
  AND (?3 IS NULL OR key IN (SELECT value FROM json_each(?3)));

-- name: rerun_item
UPDATE items SET state = 'pending', reason = ?, kind = NULL, message = NULL, failures = 0, crashes = 0, waited = 0,
  not_before = 0, led_by = NULL, ended_at = NULL, result_item = NULL, result_attempt = NULL
WHERE id = ? AND state NOT IN ('running', 'pending', 'cancelled');

-- name: finished_with_outputs
SELECT i.id, r.outputs FROM items i
JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.job_id = ? AND i.state IN ('done', 'cached') AND r.outputs IS NOT NULL;

-- name: finished_before
SELECT i.id FROM items i WHERE i.job_id = ? AND i.state IN ('done', 'skipped', 'failed') AND i.ended_at < ?;

-- name: count_finished_before
SELECT count(*) FROM items i WHERE i.job_id = ? AND i.state = 'done' AND i.ended_at < ?;

-- name: item_ids
SELECT k.value, i.id FROM json_each(?2) k LEFT JOIN items i ON i.job_id = ?1 AND i.key = k.value;

-- name: first_pending
SELECT id FROM items WHERE job_id = ? AND state = 'pending' AND not_before < 4611686018427387904
ORDER BY (not_before > ?), position LIMIT 1;

-- name: file_digest
SELECT digest FROM file_digests WHERE path = ? AND size = ? AND mtime = ? AND inode = ?;

-- name: save_file_digest
INSERT OR REPLACE INTO file_digests (path, size, mtime, inode, digest) VALUES (?, ?, ?, ?, ?);

-- ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: insert_request
INSERT INTO requests (at, verb, job_id, arguments, ready_at) VALUES (?, ?, ?, ?, ?);

-- name: ready_request
UPDATE requests SET ready_at = ? WHERE id = ?;

-- name: open_requests
SELECT id, verb, job_id, arguments FROM requests WHERE done_at IS NULL AND ready_at IS NOT NULL ORDER BY id;

-- name: request_done_at
SELECT done_at FROM requests WHERE id = ?;

-- name: supersede_requests
UPDATE requests SET done_at = ?1
WHERE job_id = (SELECT id FROM jobs WHERE name = ?2) AND verb IN ('submit', 'cancel') AND ready_at IS NOT NULL AND done_at IS NULL;

-- name: drop_superseded
DELETE FROM staged_blocks WHERE request_id IN (SELECT id FROM requests WHERE done_at IS NOT NULL);

-- name: close_request
UPDATE requests SET done_at = ? WHERE id = ?;

-- name: stage_block
INSERT INTO staged_blocks (request_id, ordinal, digest, start, kept, rows) VALUES (?, ?, ?, ?, ?, ?);

-- name: staged_blocks
SELECT ordinal, digest, start, kept FROM staged_blocks WHERE request_id = ? ORDER BY ordinal;

-- name: staged_rows
SELECT rows FROM staged_blocks WHERE request_id = ? AND ordinal = ?;

-- name: drop_staged
DELETE FROM staged_blocks WHERE request_id = ?;

-- ── adoption ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: running_rows
SELECT i.id, i.attempts, i.job_id, i.key, p.payload, i.fingerprint, s.nonce, i.failures, i.crashes, i.waited, i.runner_deaths,
  i.reason = 'withdrawn', j.cancelled_at IS NOT NULL
FROM items i JOIN payloads p ON p.item_id = i.id JOIN jobs j ON j.id = i.job_id
LEFT JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
LEFT JOIN sessions s ON s.id = a.session_id
WHERE i.state = 'running' ORDER BY i.id;

-- name: running_job_rows
SELECT i.id, i.key, i.attempts, a.started_at FROM items i
LEFT JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
WHERE i.job_id = ? AND i.state = 'running' ORDER BY i.position LIMIT ?;

-- name: count_runner_death
UPDATE items SET runner_deaths = runner_deaths + 1 WHERE id = ? AND NOT EXISTS (  -- what ran on a cluster killed no runner
  SELECT 1 FROM attempts a JOIN sessions s ON s.id = a.session_id
  WHERE a.item_id = items.id AND a.number = items.attempts AND s.workers LIKE '%://%');

-- name: interrupt_open_attempts
UPDATE attempts SET outcome = 'interrupted', ended_at = ?, message = ? WHERE item_id = ? AND outcome = 'running';

-- name: interrupt_item
UPDATE items SET state = 'pending', reason = ?, not_before = 0 WHERE id = ? AND state = 'running';

-- ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: items_of_job
SELECT i.id, i.job_id, i.key, i.state, i.reason, i.kind, i.message, i.attempts, i.failures, i.crashes, i.not_before,
  p.payload, r.result, r.file, a.started_at, i.ended_at
FROM items i JOIN payloads p ON p.item_id = i.id
LEFT JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.job_id = ?1 AND (?2 IS NULL OR i.state = ?2) AND (?3 IS NULL OR i.kind = ?3) AND (?4 IS NULL OR i.key = ?4)
  AND (i.key <> '@items' OR i.state = 'failed' OR ?4 = '@items' OR ?6)
ORDER BY i.position LIMIT ?5;

-- name: keys_of_state
SELECT key FROM items WHERE job_id = ? AND state = ? AND (key <> '@items' OR state = 'failed')
ORDER BY not_before, position;

-- name: attempts_of_item
SELECT number, started_at, ended_at, outcome, kind, message, detail FROM attempts WHERE item_id = ? ORDER BY number;

-- name: last_failures
SELECT key, kind, message, attempts, ended_at FROM items WHERE job_id = ? AND state = 'failed'
ORDER BY ended_at DESC LIMIT ?;

-- name: events_after
SELECT e.seq, e.at, e.job_id, e.item_id, e.attempt, e.type, e.data, i.key
FROM events e LEFT JOIN items i ON i.id = e.item_id
WHERE e.seq > ?1 AND (?2 IS NULL OR e.job_id = ?2) ORDER BY e.seq LIMIT ?3;

-- name: first_event
SELECT min(seq), max(seq) FROM events;

-- name: durations
SELECT a.ended_at - a.started_at FROM attempts a JOIN items i ON i.id = a.item_id
WHERE i.job_id = ? AND a.outcome = 'done' ORDER BY a.item_id DESC LIMIT 1000;

-- name: durations_of_task
SELECT a.ended_at - a.started_at FROM jobs j JOIN items i ON i.job_id = j.id JOIN attempts a ON a.item_id = i.id
WHERE j.task = ? AND a.outcome = 'done' LIMIT 1000;

-- name: waiting_until
SELECT count(*), min(not_before) FROM items
WHERE job_id = ? AND state = 'pending' AND not_before > ? AND not_before < 4611686018427387904;

-- ── pruning ──────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: prune_events
DELETE FROM events WHERE at < ? AND seq < (SELECT max(seq) FROM events);

-- name: count_prunable_events
SELECT count(*) FROM events WHERE at < ? AND seq < (SELECT max(seq) FROM events);

-- name: prunable_jobs
SELECT j.id, j.name, j.ended_at FROM jobs j
WHERE j.ended_at < ? AND NOT EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state IN ('pending', 'running'))
  AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_id = j.id AND (c.ended_at IS NULL OR c.ended_at >= ?))
ORDER BY j.id DESC;

-- ── dry run ──────────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: forecast_by_key
SELECT i.key, i.id, i.fingerprint, i.state, i.reason, i.block_id, i.kind, i.not_before, i.ended_at, i.attempts,
  r.outputs
FROM json_each(?2) k CROSS JOIN items i ON i.job_id = ?1 AND i.key = k.value
LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt;

-- name: forecast_of_block
SELECT i.key, i.id, i.fingerprint, i.state, i.reason, i.block_id, i.kind, i.not_before, i.ended_at, i.attempts,
  r.outputs
FROM items i LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.block_id = ? ORDER BY i.position;

-- name: jobs_of_items
SELECT i.id, i.job_id FROM json_each(?) s JOIN items i ON i.id = s.value;

-- ── doctor: diagnoses, (job, its name, item, key) where they are about items ─────────────────────────────────────────

-- name: integrity_check
PRAGMA integrity_check(20);

-- name: foreign_key_check
SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2;

-- name: check_running
SELECT j.id, j.name, i.id, i.key FROM jobs j JOIN items i ON i.job_id = j.id AND i.state = 'running' ORDER BY i.id;

-- name: check_running_without_attempt
SELECT j.id, j.name, i.id, i.key FROM jobs j JOIN items i ON i.job_id = j.id AND i.state = 'running'
LEFT JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts AND a.outcome = 'running'
WHERE a.item_id IS NULL ORDER BY i.id;

-- name: check_attempt_without_running_item
SELECT j.id, j.name, i.id, i.key FROM attempts a JOIN items i ON i.id = a.item_id JOIN jobs j ON j.id = i.job_id
WHERE a.outcome = 'running' AND (i.state <> 'running' OR i.attempts <> a.number) ORDER BY i.id;

-- name: check_done_without_attempt
SELECT j.id, j.name, i.id, i.key FROM items i JOIN jobs j ON j.id = i.job_id
LEFT JOIN attempts a ON a.item_id = i.result_item AND a.number = i.result_attempt AND a.outcome = 'done'
WHERE i.state IN ('done', 'cached') AND a.item_id IS NULL ORDER BY i.id;

-- name: check_result_file
SELECT j.id, j.name, i.id, i.key, r.file FROM items i JOIN jobs j ON j.id = i.job_id
JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.state IN ('done', 'cached') AND r.file IS NOT NULL ORDER BY i.id;

-- name: check_outputs
SELECT j.id, j.name, i.id, i.key, r.outputs FROM items i JOIN jobs j ON j.id = i.job_id
JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.state IN ('done', 'cached') AND r.outputs IS NOT NULL AND json_valid(r.outputs) ORDER BY i.id;

-- name: check_result_json
SELECT j.id, j.name, i.id, i.key FROM items i JOIN jobs j ON j.id = i.job_id
JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
WHERE i.state IN ('done', 'cached')
  AND (r.result IS NOT NULL AND NOT json_valid(r.result) OR r.outputs IS NOT NULL AND NOT json_valid(r.outputs))
ORDER BY i.id;

-- name: check_payload_json
SELECT j.id, j.name, i.id, i.key FROM payloads p JOIN items i ON i.id = p.item_id JOIN jobs j ON j.id = i.job_id
WHERE NOT json_valid(p.payload) ORDER BY i.id;

-- name: check_far_wait
SELECT j.id, j.name, i.id, i.key FROM jobs j JOIN items i ON i.job_id = j.id AND i.state = 'pending'
WHERE i.not_before > ? AND i.not_before < 4611686018427387904 ORDER BY i.id;

-- name: check_stranded_follower
SELECT j.id, j.name, i.id, i.key FROM items i JOIN jobs j ON j.id = i.job_id LEFT JOIN items l ON l.id = i.led_by
WHERE i.led_by IS NOT NULL AND i.state = 'pending' AND (l.id IS NULL OR l.state <> 'running') ORDER BY i.id;

-- name: check_job_json
SELECT id, name FROM jobs WHERE NOT json_valid(settings) OR NOT json_valid(source)
UNION SELECT j.id, j.name FROM rules r JOIN jobs j ON j.id = r.job_id WHERE NOT json_valid(r.settings);

-- name: check_event_json
SELECT count(*) FROM events WHERE data IS NOT NULL AND NOT json_valid(data);

-- name: check_request_json
SELECT DISTINCT j.id, j.name FROM requests r JOIN jobs j ON j.id = r.job_id
LEFT JOIN staged_blocks b ON b.request_id = r.id
WHERE r.done_at IS NULL AND (NOT json_valid(r.arguments) OR b.rows IS NOT NULL AND NOT json_valid(b.rows));

-- name: check_undelivered
SELECT j.id, j.name, r.task FROM jobs j JOIN rules r ON r.job_id = j.id
WHERE j.ended_at IS NOT NULL AND (r.revision IS NULL OR r.revision <> j.revision)
  AND (r.run_on = 'finish'
       OR j.cancelled_at IS NULL AND NOT EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id
            AND (i.state = 'failed' OR i.state = 'cancelled' AND i.reason = 'cancelled')));

-- name: check_future_stamps
SELECT (SELECT count(*) FROM events WHERE at > ?1)
     + (SELECT count(*) FROM attempts WHERE started_at > ?1 OR ended_at > ?1)
     + (SELECT count(*) FROM sessions WHERE started_at > ?1 OR ended_at > ?1);

-- name: unsealed_jobs
SELECT id, name FROM jobs j WHERE sealed_at IS NULL AND ended_at IS NULL AND parent_id IS NULL
  AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.job_id = j.id AND r.done_at IS NULL);

-- name: tasks_of_open_jobs
SELECT j.id, j.name, j.task, j.settings FROM jobs j
WHERE EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state IN ('pending', 'running'));

-- name: last_event_at
SELECT at FROM events ORDER BY seq DESC LIMIT 1;

-- name: attempt_exists
SELECT EXISTS (SELECT 1 FROM attempts WHERE item_id = ? AND number = ?);

-- name: result_file_exists
SELECT EXISTS (SELECT 1 FROM results WHERE file = ?);

-- ── doctor: repairs ──────────────────────────────────────────────────────────────────────────────────────────────────

-- name: close_stray_attempts
UPDATE attempts SET outcome = 'interrupted', ended_at = ?, message = ? WHERE item_id = ? AND outcome = 'running'
  AND NOT EXISTS (SELECT 1 FROM items i WHERE i.id = attempts.item_id AND i.state = 'running' AND i.attempts = number);

-- name: forget_archived
DELETE FROM archive WHERE (item_id, number) IN (SELECT result_item, result_attempt FROM items WHERE id = ?);

-- name: clamp_wait
UPDATE items SET not_before = ?, reason = ? WHERE id = ?;

-- name: free_follower
UPDATE items SET led_by = NULL, not_before = 0 WHERE id = ? AND state = 'pending';

-- name: lose_payload
UPDATE payloads SET payload = 'null' WHERE item_id = ?;

-- name: forget_fingerprint
UPDATE items SET fingerprint = 'lost:' || id WHERE id = ?;

-- name: withdraw_without_payload
UPDATE items SET state = 'cancelled', reason = ?1, ended_at = ?2, not_before = 0, led_by = NULL
WHERE id = ?3 AND state IN ('pending', 'running') AND fingerprint = 'lost:' || id;

-- name: reread_blocks
UPDATE blocks SET digest = 'lost:' || id WHERE job_id = ?;

-- name: reread_source
UPDATE jobs SET source = CASE WHEN json_valid(source) THEN json_remove(source, '$.digest') ELSE '{}' END WHERE id = ?;

-- name: replace_settings
UPDATE jobs SET settings = ? WHERE id = ? AND NOT json_valid(settings);

-- name: replace_rule_settings
UPDATE rules SET settings = ? WHERE job_id = ? AND NOT json_valid(settings);

-- name: forget_event_data
UPDATE events SET data = NULL WHERE data IS NOT NULL AND NOT json_valid(data);

-- name: drop_broken_requests
UPDATE requests SET done_at = ? WHERE done_at IS NULL AND job_id = ?;

-- name: all_job_ids
SELECT id FROM jobs;

-- name: mend_session_zero
INSERT OR IGNORE INTO sessions (id, nonce, pid, host, workers, started_at, ended_at, ending)
SELECT 0, 'lost', 0, '', '', 0, 0, 'lost' WHERE EXISTS (
  SELECT 1 FROM results r JOIN items i ON i.id = r.item_id
  WHERE NOT EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = r.item_id AND a.number = r.number)
  UNION ALL SELECT 1 FROM items i WHERE i.state IN ('done', 'cached')
  AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.result_item AND a.number = i.result_attempt));

-- name: mend_attempts_of_results
INSERT OR IGNORE INTO attempts (item_id, number, session_id, started_at, ended_at, outcome, message)
SELECT r.item_id, r.number, 0, 0, 0, 'done', 'the row of this attempt was lost'
FROM results r JOIN items i ON i.id = r.item_id;

-- name: mend_attempts_of_items
INSERT OR IGNORE INTO attempts (item_id, number, session_id, started_at, ended_at, outcome, message)
SELECT i.result_item, i.result_attempt, 0, coalesce(i.ended_at, 0), coalesce(i.ended_at, 0), 'done',
  'the row of this attempt was lost'
FROM items i JOIN items o ON o.id = i.result_item WHERE i.state IN ('done', 'cached');

-- name: mend_sessions
INSERT INTO sessions (id, nonce, pid, host, workers, started_at, ended_at, ending)
SELECT DISTINCT a.session_id, 'lost-' || a.session_id, 0, '', '', 0, 0, 'lost' FROM attempts a
WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = a.session_id);

-- name: mend_jobs
INSERT INTO jobs (id, name, task, version, settings, source, created_at, updated_at, sealed_at, ended_at, cancelled_at)
SELECT job_id, 'lost job ' || job_id, 'lost:task', '1', ?2, '{}', ?1, ?1, ?1, ?1, ?1
FROM (SELECT job_id FROM items UNION SELECT job_id FROM blocks UNION SELECT job_id FROM rules
      UNION SELECT job_id FROM requests UNION SELECT job_id FROM archive)
WHERE job_id NOT IN (SELECT id FROM jobs);

-- name: mend_items_of_lost_jobs
UPDATE items SET state = 'cancelled', reason = 'its job was lost', not_before = 0, led_by = NULL, ended_at = ?
WHERE state IN ('pending', 'running') AND job_id IN (SELECT id FROM jobs WHERE task = 'lost:task');

-- name: items_without_payload
SELECT j.id, j.name, i.id, i.key FROM items i JOIN jobs j ON j.id = i.job_id
WHERE NOT EXISTS (SELECT 1 FROM payloads p WHERE p.item_id = i.id);

-- name: drop_payloads_without_item
DELETE FROM payloads WHERE item_id NOT IN (SELECT id FROM items);

-- name: drop_results_without_item
DELETE FROM results WHERE item_id NOT IN (SELECT id FROM items);

-- name: drop_attempts_without_item
DELETE FROM attempts WHERE item_id NOT IN (SELECT id FROM items);

-- name: drop_staged_without_request
DELETE FROM staged_blocks WHERE request_id NOT IN (SELECT id FROM requests);

-- name: mend_parents
UPDATE jobs SET parent_id = NULL WHERE parent_id IS NOT NULL AND parent_id NOT IN (SELECT id FROM jobs);

-- name: mend_children
UPDATE rules SET child_id = NULL, revision = NULL WHERE child_id IS NOT NULL AND child_id NOT IN (SELECT id FROM jobs);

-- name: done_without_result_row
SELECT i.id FROM items i WHERE i.state IN ('done', 'cached')
  AND NOT EXISTS (SELECT 1 FROM results r WHERE r.item_id = i.result_item AND r.number = i.result_attempt);

-- name: users_of_result
SELECT i.id FROM items i WHERE i.result_item = ? AND i.result_attempt = ?
  AND NOT EXISTS (SELECT 1 FROM results r WHERE r.item_id = i.result_item AND r.number = i.result_attempt);

-- ── items by themselves ──────────────────────────────────────────────────────────────────────────────────────────────

-- name: job_of_item
SELECT job_id FROM items WHERE id = ?;

-- ── the command line's questions ─────────────────────────────────────────────────────────────────────────────────────

-- name: failure_kinds
SELECT kind, count(*) AS many FROM items WHERE job_id = ? AND state = 'failed' GROUP BY kind ORDER BY many DESC, kind;

-- name: session_of_job
SELECT s.nonce, s.pid, s.host, s.workers, s.started_at, s.ended_at FROM sessions s WHERE s.id = (
  SELECT a.session_id FROM items i JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
  WHERE i.job_id = ? AND (i.ended_at IS NOT NULL OR i.state = 'running')
  ORDER BY i.state = 'running' DESC, i.ended_at DESC LIMIT 1);

-- name: schema_version
PRAGMA user_version;

-- name: job_of_item
SELECT job_id FROM items WHERE id = ?;

-- name: any_running
SELECT EXISTS (SELECT 1 FROM items WHERE state = 'running');

-- ── deleting whole jobs ──────────────────────────────────────────────────────────────────────────────────────────────

-- name: jobs_used_by_others
SELECT DISTINCT o.job_id FROM items i JOIN items o ON o.id = i.result_item
WHERE i.state = 'cached' AND i.job_id <> o.job_id;

-- name: result_files_of_job
SELECT r.file FROM results r JOIN items i ON i.id = r.item_id WHERE i.job_id = ? AND r.file IS NOT NULL;

-- name: result_file_in_use
SELECT 1 FROM results WHERE file = ? LIMIT 1;

-- name: tries_of_job
SELECT a.item_id, a.number FROM attempts a JOIN items i ON i.id = a.item_id WHERE i.job_id = ?;

-- name: superseded_tries
SELECT i.job_id, a.item_id, a.number, r.file FROM attempts a JOIN items i ON i.id = a.item_id
LEFT JOIN results r ON r.item_id = a.item_id AND r.number = a.number
WHERE a.ended_at < ? AND a.number < i.attempts
  AND NOT (i.result_item IS a.item_id AND i.result_attempt IS a.number)
  AND (a.item_id, a.number) NOT IN (SELECT result_item, result_attempt FROM items WHERE state = 'cached');

-- name: prune_archive_of_try
DELETE FROM archive WHERE item_id = ? AND number = ?;

-- name: prune_result_of_try
DELETE FROM results WHERE item_id = ? AND number = ?;

-- name: prune_try
DELETE FROM attempts WHERE item_id = ? AND number = ?;

-- name: prune_sessions
DELETE FROM sessions WHERE ended_at < ? AND id NOT IN (SELECT session_id FROM attempts)
  AND id < (SELECT max(id) FROM sessions);

-- name: prune_staged_of_done
DELETE FROM staged_blocks WHERE request_id IN (SELECT id FROM requests WHERE done_at < ?);

-- name: prune_done_requests
DELETE FROM requests WHERE done_at < ?;

-- name: prune_archive
DELETE FROM archive WHERE job_id = ?;

-- name: prune_results
DELETE FROM results WHERE item_id IN (SELECT id FROM items WHERE job_id = ?);

-- name: prune_attempts
DELETE FROM attempts WHERE item_id IN (SELECT id FROM items WHERE job_id = ?);

-- name: prune_payloads
DELETE FROM payloads WHERE item_id IN (SELECT id FROM items WHERE job_id = ?);

-- name: prune_items
DELETE FROM items WHERE job_id = ?;

-- name: prune_blocks
DELETE FROM blocks WHERE job_id = ?;

-- name: prune_rules
DELETE FROM rules WHERE job_id = ?;

-- name: prune_child_links
UPDATE rules SET child_id = NULL WHERE child_id = ?;

-- name: prune_parent_links
UPDATE jobs SET parent_id = NULL WHERE parent_id = ?;

-- name: prune_staged
DELETE FROM staged_blocks WHERE request_id IN (SELECT id FROM requests WHERE job_id = ?);

-- name: prune_requests
DELETE FROM requests WHERE job_id = ?;

-- name: prune_job_events
-- The latest stays: its number is what tells that the next one is new.
DELETE FROM events WHERE job_id = ? AND seq < (SELECT max(seq) FROM events);

-- name: prune_job
DELETE FROM jobs WHERE id = ?;

-- name: every_text
SELECT payload FROM payloads UNION ALL SELECT result FROM results UNION ALL SELECT key || coalesce(message, '') FROM items
UNION ALL SELECT coalesce(message, '') || coalesce(detail, '') FROM attempts UNION ALL SELECT settings || source FROM jobs;

-- ── the web door ─────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: jobs_submitted_as
-- The digest is a text that stands nowhere else: whether it stands where it should is for the reader of `source` to see.
SELECT id, source FROM jobs WHERE instr(source, ?) > 0 ORDER BY id DESC;

-- name: open_or_filling_jobs
SELECT j.id FROM jobs j
WHERE j.skipped_reason IS NULL AND j.cancelled_at IS NULL AND (
  j.sealed_at IS NULL OR EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'running')
  OR EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'pending'))
LIMIT ?;

-- name: jobs_due
-- What a server runs by itself: what stands still for a reason waits for somebody, or for its time.
SELECT j.id FROM jobs j
WHERE (j.sealed_at IS NOT NULL OR j.parent_id IS NOT NULL) AND j.skipped_reason IS NULL AND j.cancelled_at IS NULL
  AND (j.paused_at IS NULL OR j.resume_at <= ?)
  AND (EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'running')
       OR EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'pending'))
ORDER BY j.id;

-- name: jobs_to_resume
-- What stood still, and whose time has come.
SELECT id FROM jobs WHERE paused_at IS NOT NULL AND resume_at <= ? AND cancelled_at IS NULL AND skipped_reason IS NULL;

-- name: any_request
SELECT EXISTS (SELECT 1 FROM requests WHERE done_at IS NULL AND ready_at IS NOT NULL);

-- name: jobs_before
-- Newest first, with what a job's state follows from: its facts, and of which states there are items at all.
SELECT id, name, task, version, '{}', '{}', generation, created_at, updated_at, sealed_at, ended_at, paused_at,
  paused_reason, resume_at, cancelled_at, skipped_reason, parent_id, source_digest,
  EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'running'),
  EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'pending'),
  EXISTS (SELECT 1 FROM items i WHERE i.job_id = j.id AND i.state = 'failed')
FROM jobs j WHERE id < ?1 AND (?2 IS NULL OR instr(lower(name), lower(?2)) > 0) ORDER BY id DESC LIMIT ?3;

-- name: children
SELECT id FROM jobs WHERE parent_id = ? ORDER BY id;

-- name: items_after
-- The places are found in the index alone; what they hold is read for one page only.
SELECT i.id, i.job_id, i.key, i.state, i.reason, i.kind, i.message, i.attempts, i.failures, i.crashes, i.not_before,
  p.payload, r.result, r.file, a.started_at, i.ended_at, i.position
FROM (SELECT id, position FROM items
      WHERE job_id = ?1 AND (position, id) > (?2, ?3) ORDER BY position, id LIMIT ?4) s
CROSS JOIN items i ON i.id = s.id JOIN payloads p ON p.item_id = i.id
LEFT JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
ORDER BY s.position, s.id;

-- name: items_of_state_after
SELECT i.id, i.job_id, i.key, i.state, i.reason, i.kind, i.message, i.attempts, i.failures, i.crashes, i.not_before,
  p.payload, r.result, r.file, a.started_at, i.ended_at, i.position
FROM (SELECT id, position FROM items
      WHERE job_id = ?1 AND state = ?5 AND (?6 IS NULL OR kind = ?6) AND (position, id) > (?2, ?3)
      ORDER BY position, id LIMIT ?4) s
CROSS JOIN items i ON i.id = s.id JOIN payloads p ON p.item_id = i.id
LEFT JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
LEFT JOIN results r ON r.item_id = i.result_item AND r.number = i.result_attempt
ORDER BY s.position, s.id;

-- name: latest_attempts
-- Of each state the items that were claimed last, so that the cost does not grow with the job.
WITH latest(id) AS (
  SELECT id FROM (SELECT id FROM items WHERE job_id = ?1 AND state = 'running' ORDER BY not_before DESC, position DESC LIMIT ?2)
  UNION ALL
  SELECT id FROM (SELECT id FROM items WHERE job_id = ?1 AND state = 'done' ORDER BY not_before DESC, position DESC LIMIT ?2)
  UNION ALL
  SELECT id FROM (SELECT id FROM items WHERE job_id = ?1 AND state = 'failed' ORDER BY not_before DESC, position DESC LIMIT ?2)
  UNION ALL
  SELECT id FROM (SELECT id FROM items WHERE job_id = ?1 AND state = 'skipped' ORDER BY not_before DESC, position DESC LIMIT ?2)
  UNION ALL
  SELECT id FROM (SELECT id FROM items WHERE job_id = ?1 AND state = 'pending' AND not_before > 0
                  ORDER BY not_before DESC, position DESC LIMIT ?2))
SELECT l.id, i.key, a.number, a.started_at, a.ended_at, a.outcome, a.kind, a.message, a.detail
FROM latest l CROSS JOIN attempts a ON a.item_id = l.id JOIN items i ON i.id = l.id
ORDER BY a.started_at DESC, l.id DESC LIMIT ?2;

-- name: failures_by_kind
-- The id is that of the item with this message, as SQLite has it for max().
SELECT id, kind, count(*) AS many, max(message) FROM items WHERE job_id = ? AND state = 'failed'
GROUP BY kind ORDER BY many DESC, kind;

-- name: small_payloads
SELECT payload FROM payloads WHERE item_id IN (SELECT value FROM json_each(?)) AND length(payload) <= ?;

-- name: settled_lately
-- Among the last events of the whole spool: their number bounds the cost.
SELECT count(*), min(at), max(at) FROM (SELECT at, job_id, type FROM events ORDER BY seq DESC LIMIT 2000)
WHERE job_id = ? AND at > ? AND type IN ('item_done', 'item_cached', 'item_failed', 'item_skipped');

-- name: latest_running
SELECT i.id, i.key, i.attempts FROM items i JOIN attempts a ON a.item_id = i.id AND a.number = i.attempts
WHERE i.job_id = ? AND i.state = 'running' ORDER BY a.started_at DESC, i.position DESC LIMIT 1;
