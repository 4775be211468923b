-- 100 people who sign in with demo-password: user1@shop.example … user100@shop.example
INSERT INTO users (email, name, password_hash)
SELECT 'user' || n || '@shop.example',
       (ARRAY['Ada','Grace','Alan','Edsger','Barbara','Donald','Radia','Ken','Margaret','Dennis'])[1 + n % 10] || ' ' || n,
       'scrypt$1024$83cd67b6e9c2cea002036333088d9637$bfac4f7f4683456de192d0010144abf3ca6110f39003daf6a999f68e0f742829'
  FROM generate_series(1, 100) n;

INSERT INTO products (sku, name, description, image, price_cents, stock)
SELECT 'SKU-' || lpad(n::text, 4, '0'),
       (ARRAY['Oak','Steel','Linen','Glass','Copper','Cork'])[1 + n % 6] || ' ' ||
       (ARRAY['lamp','chair','mug','shelf','clock','bowl','vase'])[1 + n % 7] || ' no. ' || n,
       'Made in small batches, shipped within two days.',
       '/images/' || (ARRAY['lamp','chair','mug','shelf','clock','bowl','vase'])[1 + n % 7] || '.svg',
       990 + (n * 137) % 9000,
       20 + n % 30
  FROM generate_series(1, 120) n;

INSERT INTO orders (user_id, product_id, quantity, amount_cents, status, created_at)
SELECT u.id, p.id, 1, p.price_cents, 'paid', now() - n * interval '9 days'
  FROM users u
 CROSS JOIN generate_series(1, 4) n
  JOIN products p ON p.id = 1 + (u.id * 7 + n * 31) % 120;

INSERT INTO payments (order_id, payment_intent, amount_cents)
SELECT id, 'pi_dev_' || id, amount_cents FROM orders;

INSERT INTO notifications (user_id, body)
SELECT id, 'Welcome to the shop, ' || name FROM users;
