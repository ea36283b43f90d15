-- Which batch of failed calls each writer has written last: one whose commit was not answered is not counted again.
create table failed_calls_writers (
    writer     uuid primary key, -- of one start of a node
    batch      bigint not null,
    written_at timestamptz not null
);
