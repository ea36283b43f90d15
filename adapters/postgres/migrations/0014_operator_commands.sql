-- Commands of operators that change or copy data, and who ran them.
create table operator_commands (
    id       bigint generated always as identity primary key,
    at       timestamptz not null default now(),
    command  text not null,
    operator text not null, -- user of the operating system, and its host
    outcome  text not null  -- done or failed
);
