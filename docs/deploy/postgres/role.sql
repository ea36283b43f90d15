-- Run once, by the superuser, in a new database directory: the role that the product connects as, and its database. The role makes its
-- tables, the schemas of the read models, and temporary tables to compare these with the log (audit verify --read-models). It owns what it
-- has made, and nothing else of the server is open to it.
\set password `cat /run/secrets/postgres_password`
create role liveness login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
create database liveness template template0 encoding 'UTF8';
revoke all on database liveness from public;
grant connect, create, temporary on database liveness to liveness;
revoke connect on database postgres, template1 from public;
\connect liveness
revoke all on schema public from public;
grant usage, create on schema public to liveness;
