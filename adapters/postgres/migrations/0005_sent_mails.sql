-- Mails that went out, by the event that called for them.
create table sent_mails (
    event_id uuid primary key,
    sent_at  timestamptz not null
);

create index sent_mails_sent on sent_mails (sent_at);
