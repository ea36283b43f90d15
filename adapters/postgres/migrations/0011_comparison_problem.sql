-- What kept the last comparison with AWS as a whole from saying anything; empty for nothing.
alter table entitlement_comparisons add column problem text not null default '';
