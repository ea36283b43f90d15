-- What became of each mail, for people to look at. Whether one went out already is decided by sent_mails.
create table mail_states (
    mail_id     uuid primary key,
    event_id    uuid not null,               -- the event that called for it, and where that stands
    stream      text not null,
    revision    bigint not null,
    kind        text not null,
    customer_id uuid,                        -- null of an event that cannot be read
    state       text not null check (state in ('waiting', 'sent', 'failed', 'parked', 'expired', 'dropped')),
    attempts    integer not null default 0,
    problem     text,                        -- why the newest attempt failed
    service     boolean not null default false, -- it failed for the delivery service, not for the recipient
    cause       text,                        -- why the recipient will never get it
    answer      text,                        -- of the recipient's server: numbers only
    returned    boolean not null default false, -- it came back after it went out
    held_until  timestamptz,                 -- a replay of others leaves it parked
    why         text,                        -- an operator dropped it
    decided_by  text,
    begun_at    timestamptz not null default now(),
    changed_at  timestamptz not null default now()
);

create index mail_states_event on mail_states (event_id);
create index mail_states_customer on mail_states (customer_id, begun_at);
create index mail_states_open on mail_states (state, changed_at) where state <> 'sent';
create index mail_states_changed on mail_states (changed_at);
