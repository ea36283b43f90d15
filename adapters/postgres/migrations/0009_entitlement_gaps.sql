-- What the last comparison with AWS did not find: which subscriptions AWS listed no entitlement of, or did not answer about.
create table entitlement_gaps (
	subscription_id uuid primary key,
	missing         integer not null,
	missing_since   timestamptz,
	silent_since    timestamptz,
	withheld        boolean not null
);

create table entitlement_comparisons (
	one         boolean primary key default true check (one),
	compared_at timestamptz not null
);
