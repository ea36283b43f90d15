-- Who is logged in where. A session of the table sessions names its row here; without one it is no login any more.
create table console_logins (
    id           uuid primary key,
    account_id   uuid not null,
    began_at     timestamptz not null,
    used_at      timestamptz not null,  -- to the minute
    confirmed_at timestamptz not null,  -- the password was given last
    browser      text not null,         -- as "Firefox on Linux"
    address      text not null          -- network address of the newest use
);

create index console_logins_account on console_logins (account_id);
create index console_logins_used on console_logins (used_at);

-- console_generations, which closed sessions before, is left to nodes of the version before this; nothing reads it.
