-- One statement a line; $n is planned without a value.
SELECT * FROM members WHERE id = 777
SELECT * FROM members WHERE email = 'User77@example.com'
SELECT * FROM members WHERE lower(email) = 'user77@example.com'
SELECT * FROM members WHERE lower(email) LIKE 'user12%'
SELECT * FROM members WHERE country = 'c9'
SELECT * FROM members WHERE country = 'c3' AND city = 'city2'
SELECT country, city, count(*) FROM members GROUP BY 1, 2
SELECT DISTINCT city FROM members
SELECT city, count(*) FROM members GROUP BY 1 ORDER BY 2 DESC LIMIT 10
SELECT country FROM members WHERE plan = 'c' AND joined > '2024-12-01'
SELECT * FROM members ORDER BY joined DESC LIMIT 20
SELECT * FROM purchases WHERE id = 1234
SELECT * FROM purchases WHERE id > 900 ORDER BY id LIMIT 100
SELECT * FROM purchases WHERE member_id IN (1, 2, 3, 5, 8, 13, 21, 34)
SELECT * FROM purchases WHERE member_id = 1500 ORDER BY made DESC LIMIT 20
SELECT member_id, count(*) FROM purchases GROUP BY 1
SELECT count(*) FROM purchases WHERE state = 'open'
SELECT count(*) FROM purchases WHERE state = 'open' AND made > '2024-12-01'
SELECT * FROM purchases WHERE state = 'paid' ORDER BY made DESC LIMIT 50
SELECT * FROM purchases WHERE state = 'refunded' ORDER BY amount LIMIT 50
SELECT * FROM purchases ORDER BY made DESC OFFSET 5000 LIMIT 20
SELECT * FROM purchases WHERE tags @> ARRAY['t7']
SELECT * FROM purchases WHERE tags && ARRAY['t40', 't41']
SELECT * FROM purchases WHERE amount BETWEEN 100 AND 100.5
SELECT * FROM purchases WHERE note IS NULL ORDER BY amount
SELECT count(*) FROM purchases WHERE made > '2024-12-15'
SELECT count(*) FROM purchases WHERE made > '2030-01-01'
SELECT count(*) FROM purchases WHERE date_trunc('month', made AT TIME ZONE 'UTC') = '2024-06-01'
SELECT date_trunc('day', made), count(*) FROM purchases GROUP BY 1 ORDER BY 1
SELECT count(DISTINCT member_id) FROM purchases WHERE made > '2024-10-01'
SELECT max(made) FROM purchases
SELECT doc ->> 'from', sum(amount) FROM purchases GROUP BY 1
SELECT m.country, sum(p.amount) FROM purchases p JOIN members m ON m.id = p.member_id WHERE p.made > '2024-12-20' GROUP BY 1
SELECT p.* FROM purchases p JOIN members m ON m.id = p.member_id WHERE m.country = 'c11'
SELECT p.* FROM purchases p WHERE p.member_id IN (SELECT id FROM members WHERE city = 'city12')
SELECT * FROM members m WHERE EXISTS (SELECT 1 FROM purchases p WHERE p.member_id = m.id AND p.state = 'open')
SELECT m.id, m.email FROM members m WHERE NOT EXISTS (SELECT 1 FROM purchases p WHERE p.member_id = m.id) ORDER BY m.joined LIMIT 100
SELECT m.id, max(p.made) FROM members m LEFT JOIN purchases p ON p.member_id = m.id GROUP BY m.id
SELECT p.id, count(*) FROM purchases p JOIN lines l ON l.purchase_id = p.id WHERE p.member_id = 1700 GROUP BY 1
SELECT g.category, sum(l.quantity) FROM lines l JOIN goods g ON g.id = l.good_id JOIN purchases p ON p.id = l.purchase_id WHERE p.made > '2024-12-25' GROUP BY 1
SELECT l.id FROM lines l JOIN purchases p ON p.id = l.purchase_id WHERE p.state = 'refunded' AND l.quantity = 5
SELECT * FROM lines WHERE good_id = 42
SELECT good_id, count(*) FROM lines GROUP BY 1 HAVING count(*) > 10
SELECT member_id, id, rank() OVER (PARTITION BY member_id ORDER BY amount) FROM purchases WHERE made > '2024-11-01'
SELECT * FROM visits WHERE member_id = 42
SELECT * FROM visits WHERE at BETWEEN '2024-11-10' AND '2024-11-11'
SELECT page, count(*) FROM visits WHERE at >= '2024-10-01' AND at < '2024-11-01' GROUP BY 1
SELECT count(*) FROM visits v JOIN members m ON m.id = v.member_id WHERE m.plan = 'c' AND v.page = 'cart'
SELECT m.id, x.amount FROM members m CROSS JOIN LATERAL (SELECT p.amount FROM purchases p WHERE p.member_id = m.id ORDER BY p.made DESC LIMIT 1) x WHERE m.country = 'c5'
SELECT * FROM purchases WHERE member_id = $1 AND state = $2
SELECT * FROM visits WHERE at > $1 AND page = $2
SELECT * FROM purchases p JOIN members m ON m.id = p.member_id WHERE m.country = $1 AND p.made > $2
