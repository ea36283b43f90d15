-- Which of the server's secrets this database was written with, so that a node with others refuses to start. A fingerprint
-- tells nothing of its secret. Retired ones may be missing.
create table secret_fingerprints (
    purpose     text not null,
    id          text not null,
    fingerprint bytea,                -- null of one that was retired before it was ever noted here
    used_from   timestamptz not null default now(),
    retired_at  timestamptz,
    primary key (purpose, id)
);
