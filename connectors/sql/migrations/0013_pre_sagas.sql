-- Sagas: the courses of workflows, what each has taken in, and the deadlines that it waits for.

CREATE TABLE sagas (
    course bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app text COLLATE "C" NOT NULL,
    saga text COLLATE "C" NOT NULL,
    -- Which course of the saga: what its events have in common.
    key text COLLATE "C" NOT NULL,
    status text NOT NULL
        CHECK (status IN ('running', 'compensating', 'completed', 'compensated')),
    steps integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (app, saga, key)
) WITH (fillfactor = 80);

-- What a course has taken in, in order: the state of a saga is folded from it. An event counts
-- once, however often it is delivered.
CREATE TABLE saga_steps (
    course bigint NOT NULL REFERENCES sagas ON DELETE CASCADE,
    step integer NOT NULL,
    cause_id text COLLATE "C" NOT NULL,
    -- The event as it was on the wire, its personal fields sealed.
    framed bytea NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (course, step),
    UNIQUE (course, cause_id)
);

-- Deadlines that have not come. A row is gone in the transaction of the step that it brings about.
CREATE TABLE saga_deadlines (
    course bigint NOT NULL REFERENCES sagas ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    app text COLLATE "C" NOT NULL,
    saga text COLLATE "C" NOT NULL,
    -- The event at which it was set.
    set_by text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL,
    -- When it is looked at: later than it is due once the saga could not decide on it.
    next_at timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (course, name)
) WITH (
    -- A queue: dead rows stand in the way of its head.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX saga_deadlines_next ON saga_deadlines (app, saga, next_at);
