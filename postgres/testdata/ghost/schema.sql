-- A shop with members who buy and visit. It runs on PostgreSQL 12 to 18.
CREATE TYPE purchase_state AS ENUM ('open', 'paid', 'sent', 'refunded');
CREATE TABLE members (
  id      bigint PRIMARY KEY,
  email   text NOT NULL,
  country text NOT NULL,
  city    text NOT NULL,
  plan    char(1) NOT NULL CHECK (plan IN ('a', 'b', 'c')),
  joined  timestamptz NOT NULL);
CREATE TABLE goods (id int PRIMARY KEY, category text NOT NULL, price int NOT NULL);
CREATE TABLE purchases (
  id        bigint PRIMARY KEY,
  member_id bigint NOT NULL,
  state     purchase_state NOT NULL,
  amount    numeric(10,2) NOT NULL,
  tags      text[],
  doc       jsonb,
  note      text,
  made      timestamptz NOT NULL);
CREATE TABLE lines (id bigint PRIMARY KEY, purchase_id bigint NOT NULL, good_id int NOT NULL, quantity int NOT NULL);
CREATE TABLE visits (
  id        bigint NOT NULL,
  member_id bigint NOT NULL,
  page      text NOT NULL,
  at        timestamptz NOT NULL,
  PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2024-09-01') TO ('2024-10-01');
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2024-10-01') TO ('2024-11-01');
CREATE TABLE visits_3 PARTITION OF visits FOR VALUES FROM ('2024-11-01') TO ('2024-12-01');
CREATE TABLE visits_4 PARTITION OF visits FOR VALUES FROM ('2024-12-01') TO ('2025-03-01');
