-- Projections in rows: versions side by side, of which one pointer says which is read.

CREATE TABLE projections (
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    -- The import path of the app, so that a command finds the fold by the projection's name.
    module text NOT NULL,
    -- The version that is read. A rebuild changes this one number.
    live integer,
    previous integer,
    last_version integer NOT NULL DEFAULT 0,
    PRIMARY KEY (app, name)
);

CREATE TABLE projection_versions (
    version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    -- Of the fold that made the rows: another one never folds them further.
    revision integer NOT NULL,
    -- Who folds. The epoch refuses every later write of an earlier owner; the lease only says how
    -- long others leave it alone.
    owner text,
    epoch bigint NOT NULL DEFAULT 0,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    -- The event at which the fold raised; null while it goes on.
    failure jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (app, name, version),
    FOREIGN KEY (app, name) REFERENCES projections ON DELETE CASCADE
);

-- Up to where each partition of the store is folded, written with the rows.
CREATE TABLE projection_checkpoints (
    version_id bigint NOT NULL REFERENCES projection_versions ON DELETE CASCADE,
    topic_id text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL CHECK (next >= 0),
    PRIMARY KEY (version_id, topic_id, partition)
);

-- No foreign key: it would look the version up again for every row.
CREATE TABLE projection_rows (
    version_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- The very text that was folded: jsonb would sort keys and change numbers, and the next fold
    -- would begin from something else. Query it as state::jsonb.
    state json NOT NULL,
    -- How many events the state holds, and the offset of the last one by partition of the store.
    events bigint NOT NULL,
    coverage jsonb NOT NULL,
    PRIMARY KEY (version_id, key)
) WITH (fillfactor = 80);

-- A copy of an event that stands twice in a partition is told by its first place.
CREATE INDEX event_positions_event ON event_positions (event_id);
