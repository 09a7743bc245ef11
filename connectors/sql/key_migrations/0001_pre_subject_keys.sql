-- One key for each subject of personal data. In a database of its own: a backup of the event store
-- must never bring a deleted key back.

CREATE TABLE subject_keys (
    -- SHA-256 of the subject: all that is left of one that was forgotten.
    digest bytea PRIMARY KEY,
    key_id text COLLATE "C" UNIQUE,
    subject text COLLATE "C",
    secret bytea CHECK (octet_length(secret) = 32),
    forgotten_at timestamptz,
    -- A row holds a whole key, or it says since when there is none.
    CHECK (num_nonnulls(key_id, subject, secret) = CASE WHEN forgotten_at IS NULL THEN 3 ELSE 0 END)
);
