-- What Mercado Livre contributes to the views of docs/reference/tables.md, in the form of views_odoo.sql. Amounts are in the currency's unit;
-- the pesos of Chile and the guaraníes of Paraguay have no decimals. An order of a cart is an order of its own, as the API has it. An
-- item with variations is as many products as it has variations: each has a code and a stock of its own.
-- text columns: account id order_id buyer_id item_id title status currency_id nickname first_name last_name seller_sku
-- integer columns: available_quantity variation_id
-- numeric columns: total_amount quantity unit_price price
-- timestamp columns: date_created last_updated _cmp_synced_at _cmp_deleted_at

-- view: orders
-- needs mercadolivre_orders as o
-- joins mercadolivre_buyers as b
SELECT 'mercadolivre' AS source, o.account AS account, o.id AS id, CAST(o.id AS TEXT) AS number, o.status AS status,
  coalesce(nullif(trim(coalesce(b.first_name, '') || ' ' || coalesce(b.last_name, '')), ''), b.nickname) AS customer,
  o.currency_id AS currency,
  minor{o.total_amount * (CASE o.currency_id WHEN 'CLP' THEN 1 WHEN 'PYG' THEN 1 ELSE 100 END)} AS total_minor,
  o.date_created AS ordered_at, o.last_updated AS updated_at, o._cmp_synced_at AS synced_at
FROM mercadolivre_orders o
LEFT JOIN mercadolivre_buyers b ON b.account = o.account AND b.id = o.buyer_id
WHERE o._cmp_deleted_at IS NULL;

-- view: order_lines
-- needs mercadolivre_order_items as l
SELECT 'mercadolivre' AS source, l.account AS account, l.order_id AS order_id, l.id AS line_id, l.seller_sku AS product_code,
  l.title AS product_name, l.quantity AS quantity,
  minor{l.unit_price * (CASE l.currency_id WHEN 'CLP' THEN 1 WHEN 'PYG' THEN 1 ELSE 100 END)} AS unit_price_minor,
  minor{l.quantity * l.unit_price * (CASE l.currency_id WHEN 'CLP' THEN 1 WHEN 'PYG' THEN 1 ELSE 100 END)} AS total_minor,
  l.currency_id AS currency
FROM mercadolivre_order_items l
WHERE l._cmp_deleted_at IS NULL;

-- view: order_products
-- needs mercadolivre_order_items as l
SELECT 'mercadolivre' AS source, l.account AS account, CAST(l.order_id AS TEXT) AS order_number, l.seller_sku AS product_code,
  sum(l.quantity) AS quantity,
  minor_sum{l.quantity * l.unit_price * (CASE l.currency_id WHEN 'CLP' THEN 1 WHEN 'PYG' THEN 1 ELSE 100 END)} AS total_minor,
  count(*) AS lines
FROM mercadolivre_order_items l
WHERE l._cmp_deleted_at IS NULL
GROUP BY l.account, l.order_id, l.seller_sku, CASE WHEN l.seller_sku IS NULL THEN l.item_id END, CASE WHEN l.seller_sku IS NULL THEN l.variation_id END;

-- view: products
-- needs mercadolivre_items as i
-- joins mercadolivre_item_variations as v
SELECT 'mercadolivre' AS source, i.account AS account,
  CASE WHEN v.id IS NULL THEN i.id ELSE i.id || '-' || CAST(v.id AS TEXT) END AS id,
  coalesce(v.seller_sku, i.seller_sku) AS code, i.title AS name,
  minor{coalesce(v.price, i.price) * (CASE i.currency_id WHEN 'CLP' THEN 1 WHEN 'PYG' THEN 1 ELSE 100 END)} AS price_minor,
  i.currency_id AS currency, CASE WHEN v.id IS NULL THEN i.available_quantity ELSE v.available_quantity END AS stock,
  i.status = 'active' AS active, i.last_updated AS updated_at
FROM mercadolivre_items i
LEFT JOIN mercadolivre_item_variations v ON v.account = i.account AND v.item_id = i.id AND v._cmp_deleted_at IS NULL
WHERE i._cmp_deleted_at IS NULL;
