-- What the nodes that work say of their components, so that the nodes that serve can say it in health.
create table component_states (
    component   text not null,
    node        uuid not null,
    problem     text,                  -- null while it runs
    reported_at timestamptz not null,
    primary key (component, node)
);
