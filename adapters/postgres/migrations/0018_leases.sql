-- Who maintains a read model, or runs a loop that one node at a time runs. A row stands while somebody holds the lease, and until
-- the next one who wants it notices that its holder is gone.
create table leases (
    name            text primary key,
    token           bigint generated always as identity,  -- of this holding; a transaction proves with it that it is not over
    holder          text not null,                        -- host and process, for people
    since           timestamptz not null default now(),
    expires_at      timestamptz not null,                 -- others take it then; its holder puts it off again and again
    backend         integer not null,                     -- the session that the holder keeps open: gone, nobody holds the lease
    backend_started timestamptz not null
);

-- When a read model has last applied events, or was found at the end of the log by who maintains it.
alter table projection_checkpoints add column passed_at timestamptz not null default now();
