-- Attempts that the console limits, by a keyed name of who tries: logins, mails asked for, registration tokens.
create table console_attempts (
    subject    text primary key,
    attempts   integer not null,
    counted_at timestamptz not null,  -- the newest attempt
    open_at    timestamptz not null   -- until then no further one is let through
);

create index console_attempts_counted on console_attempts (counted_at);

-- Raising a customer's generation closes every session that was begun under an older one.
create table console_generations (
    customer_id uuid primary key,
    generation  bigint not null
);
