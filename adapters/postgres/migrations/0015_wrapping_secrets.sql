-- Which of the server's secrets a key is wrapped under: what was there before secrets had ids, under the eldest.
alter table personal_data_keys add column secret_id text not null default 'eldest';
