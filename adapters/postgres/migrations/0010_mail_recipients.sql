-- The keyed hash of the address that a mail went to, by which its owner finds what became of it.
alter table mail_states add column recipient text;

create index mail_states_recipient on mail_states (recipient, changed_at);
