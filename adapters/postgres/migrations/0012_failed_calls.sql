-- Calls that were not answered with a result, for the customer to look at, kept for 90 days. Nothing rests on them.
create table failed_calls (
    customer_id uuid not null,
    hour        timestamptz not null,
    key_prefix  text not null,
    key_slot    text not null,
    status      smallint not null,
    code        text not null,
    reason      text not null,        -- the message without what it tells of one call
    message     text not null,        -- of the newest
    calls       bigint not null,
    last_at     timestamptz not null,
    primary key (customer_id, hour, key_prefix, status, code, reason)
);
create index failed_calls_hour on failed_calls (hour);

-- The newest of each customer, one by one.
create table newest_failed_calls (
    id          bigint generated always as identity primary key,
    customer_id uuid not null,
    at          timestamptz not null,
    request_id  uuid not null,
    status      smallint not null,
    code        text not null,
    message     text not null,
    key_prefix  text not null,
    key_slot    text not null
);
create index newest_failed_calls_customer on newest_failed_calls (customer_id, at desc, id desc);
create index newest_failed_calls_at on newest_failed_calls (at);

-- Customers of whom none are kept any more, at their request.
create table failed_calls_erased (
    customer_id uuid primary key
);
