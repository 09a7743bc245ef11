-- Named queries of erasure: states that were folded from readable events.

-- drop_snapshots_of_types --
-- Removes the snapshots of some aggregate types: the next load folds history anew.
DELETE FROM snapshots WHERE aggregate_type = ANY (%(aggregate_types)s::text[])

-- drop_previous_version --
-- Takes the way back to a version that was folded while its events could be read.
UPDATE projections SET previous = NULL WHERE app = %(app)s AND name = %(name)s

-- purge_old_rows --
-- Gives the space of removed states free to be written again.
VACUUM projection_rows

-- purge_old_snapshots --
-- The same for snapshots.
VACUUM snapshots
