-- Rows at {c} times the {block} members and {o} times what they do. New members are
-- like the old ones: each block of members has the same skew. Time has one window.
SELECT setseed(0.31);
INSERT INTO members
SELECT i, 'User' || i || '@example.com', 'c' || floor(12 * random() ^ 2), 'city' || floor((1 - random()) ^ (-1.2)),
       CASE WHEN random() < .8 THEN 'a' WHEN random() < .8 THEN 'b' ELSE 'c' END,
       timestamptz '2024-12-31 UTC' - interval '365 days' + i * (interval '365 days' / ({block} * {c}))
FROM generate_series(1, ({block} * {c})::int) i;
INSERT INTO goods SELECT i, 'cat' || (i % 20), (random() * 1000)::int FROM generate_series(1, 2000) i;
INSERT INTO purchases
SELECT i, least(b * {block} + 1 + floor(least({block}, {block} * {c} - b * {block}) * r ^ 3), {block} * {c})::bigint,
       (CASE WHEN random() < .9 THEN 'sent' WHEN random() < .6 THEN 'paid' WHEN random() < .6 THEN 'open' ELSE 'refunded' END)::purchase_state,
       round((exp(random() * 6))::numeric, 2),
       CASE WHEN random() < .9 THEN ARRAY['t' || floor(50 * random() ^ 2), 'u' || floor(9 * random())] END,
       jsonb_build_object('from', (ARRAY['web', 'app', 'api'])[1 + floor(random() * 3)::int]),
       CASE WHEN random() < .5 THEN repeat('n', 60) END,
       timestamptz '2024-12-31 UTC' - interval '365 days' + i * (interval '365 days' / (5 * {block} * {o}))
FROM (SELECT i, floor(random() * {c}) b, random() r FROM generate_series(1, (5 * {block} * {o})::int) i) s;
INSERT INTO lines SELECT i, 1 + floor(5 * {block} * {o} * random())::bigint, 1 + floor(2000 * random() ^ 2)::int, 1 + floor(5 * random())::int
FROM generate_series(1, (15 * {block} * {o})::int) i;
INSERT INTO visits
SELECT i, 1 + floor({block} * {c} * random())::bigint, (ARRAY['home', 'home', 'home', 'search', 'cart', 'error'])[1 + floor(6 * random() ^ 1.5)::int],
       timestamptz '2024-09-01 UTC' + i * (interval '121 days' / (8 * {block} * {o}))
FROM generate_series(1, (8 * {block} * {o})::int) i;
