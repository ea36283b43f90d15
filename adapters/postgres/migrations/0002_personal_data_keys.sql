-- One key per customer, itself encrypted. Destroyed keys leave a tombstone, so that no new one is made for the customer.
create table personal_data_keys (
    customer_id  uuid primary key,
    wrapped_key  bytea,
    created_at   timestamptz not null default now(),
    destroyed_at timestamptz,
    check ((wrapped_key is null) = (destroyed_at is not null))
);
