-- The event that a read model stopped at, for an operator to decide about: position, stream, revision, eventId, type.
alter table projection_checkpoints add column stopped_at jsonb;

-- Why an operator let a read model go past an event, and who; null where the read model parked it by itself.
alter table projection_parked add column why text, add column skipped_by text;
