-- Run once, by the superuser, in a new database directory: the role that the product connects as owns its database and is
-- nothing more. It makes the tables and schemas of the read models itself.
\set password `cat /run/secrets/postgres_password`
create role liveness login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
create database liveness owner liveness;
revoke all on database liveness from public;
revoke connect on database postgres from public;
