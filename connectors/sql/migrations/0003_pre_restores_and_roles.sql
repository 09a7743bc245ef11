-- Restores that go on after a kill, and roles that may add events but never change them.

-- How far a restore has come that is not over. One that is begun again raises the epoch, which
-- refuses every later write of the one before it.
CREATE TABLE store_restores (
    topic_id text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL CHECK (next >= 0),
    until bigint NOT NULL CHECK (until >= next),
    epoch bigint NOT NULL CHECK (epoch > 0),
    PRIMARY KEY (topic_id, partition)
);

-- A role belongs to the whole server: another database may have made it already, at this moment
-- too. Who may not make roles migrates without them; then the trigger alone guards the events.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['wundr_writer', 'wundr_reader'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE WARNING 'role % was not made: % may not make roles', wanted, current_user;
                CONTINUE;
        END;
        IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
    END LOOP;
END
$$;

DO $$
DECLARE
    home text := current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wundr_writer') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO wundr_writer', home);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO wundr_writer', home
        );
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA %I'
            ' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO wundr_writer', home
        );
        REVOKE UPDATE, DELETE ON events, event_positions FROM wundr_writer;
        REVOKE INSERT, UPDATE, DELETE ON applied_migrations FROM wundr_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wundr_reader') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO wundr_reader', home);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO wundr_reader', home);
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO wundr_reader', home
        );
    END IF;
END
$$;
