-- How far each read model has come. The row of a read model that is being rebuilt is named <name>__rebuild.
create table projection_checkpoints (
    name           text primary key,            -- also the schema that holds its tables
    version        integer not null,            -- of the program that maintains it
    position       bigint not null default -1,  -- the log is read up to here; -1: nothing yet
    event_position bigint not null default -1,  -- of the last event applied
    event_at       timestamptz,                 -- when that event was recorded
    caught_up      boolean not null default false,
    stopped        boolean not null default false,  -- a poisonous event stands in the way
    error          text,                        -- why it does not go on; null while it does
    updated_at     timestamptz not null default now()
);

-- Events that a read model could not take and went past. The log still holds them.
create table projection_parked (
    name      text not null,
    position  bigint not null,
    stream    text not null,
    revision  bigint not null,
    event_id  uuid not null,
    type      text not null,
    error     text not null,
    parked_at timestamptz not null default now(),
    primary key (name, position)
);
