-- Named queries of the database of keys.

-- database_exists --
-- Whether the server has a database of this name.
SELECT FROM pg_database WHERE datname = %(name)s

-- key_of_subject --
-- The key of a subject, or since when it is forgotten.
SELECT key_id, subject, secret, forgotten_at FROM subject_keys WHERE digest = %(digest)s

-- key_by_id --
-- The key that a sealed value names.
SELECT key_id, subject, secret FROM subject_keys WHERE key_id = %(key_id)s

-- make_key --
-- A key for a subject that has none and is not forgotten; of two at once, one is kept.
INSERT INTO subject_keys (digest, key_id, subject, secret)
VALUES (%(digest)s, %(key_id)s, %(subject)s, %(secret)s)
ON CONFLICT (digest) DO NOTHING

-- forget_subject --
-- Removes the key and keeps that there shall be none, in one step; when that was done first.
INSERT INTO subject_keys AS known (digest, forgotten_at)
VALUES (%(digest)s, now())
ON CONFLICT (digest) DO UPDATE
SET key_id = NULL,
    subject = NULL,
    secret = NULL,
    forgotten_at = coalesce(known.forgotten_at, excluded.forgotten_at)
RETURNING forgotten_at

-- wait_for_the_rewrite --
-- For one session: how long a rewrite takes depends on how many keys there are.
SELECT set_config('statement_timeout', '0', false)

-- rewrite_keys --
-- Writes the table anew: freed space of its old pages would hold a removed key until it is used again.
VACUUM (FULL) subject_keys
