-- The newest event that a read model has taken in and that the log never forgets: id, stream, revision, position. By it the log
-- is told from an older one that has grown again.
alter table projection_checkpoints add column mark jsonb;
