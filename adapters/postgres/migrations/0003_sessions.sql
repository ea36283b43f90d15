-- Sessions of the console; the columns are those the session library expects.
create table sessions (
    token  text primary key,
    data   bytea not null,
    expiry timestamptz not null
);

create index sessions_expiry on sessions (expiry);
