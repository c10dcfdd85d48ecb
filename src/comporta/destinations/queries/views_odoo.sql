-- What Odoo contributes to the views of docs/reference/tables.md, in SQL that SQLite and PostgreSQL both take. "needs T as a": no
-- view without table T. "joins T as a": left out, with its columns null, while table T does not exist. Each JOIN stands on one line,
-- each alias is a letter. Every column that is spoken of is listed here with its type, so that its null has one where it is absent.
-- Minor units by the currency's own number of decimals; 2 where the currency is not known. "minor{x}" is a whole number, "minor_sum{x}" the
-- sum of them; both are null where an amount is beyond reason.
-- integer columns: id order_id partner_id product_id product_tmpl_id currency_id decimal_places
-- numeric columns: amount_total product_uom_qty price_unit price_total lst_price list_price qty_available
-- text columns: account name state default_code display_type
-- boolean columns: active is_company
-- timestamp columns: date_order write_date _cmp_synced_at _cmp_deleted_at

-- view: orders
-- needs odoo_sale_order as o
-- joins odoo_res_partner as p
-- joins odoo_currency as c
SELECT 'odoo' AS source, o.account AS account, o.id AS id, o.name AS number, o.state AS status, p.name AS customer,
  c.name AS currency,
  minor{o.amount_total * (CASE coalesce(c.decimal_places, 2) WHEN 0 THEN 1 WHEN 3 THEN 1000 WHEN 4 THEN 10000 ELSE 100 END)} AS total_minor,
  o.date_order AS ordered_at, o.write_date AS updated_at, o._cmp_synced_at AS synced_at
FROM odoo_sale_order o
LEFT JOIN odoo_res_partner p ON p.account = o.account AND p.id = o.partner_id
LEFT JOIN odoo_currency c ON c.account = o.account AND c.id = o.currency_id
WHERE o._cmp_deleted_at IS NULL;

-- view: order_lines
-- needs odoo_sale_order_line as l
-- joins odoo_sale_order as o
-- joins odoo_product_product as p
-- joins odoo_product_template as t
-- joins odoo_currency as c
SELECT 'odoo' AS source, l.account AS account, l.order_id AS order_id, l.id AS line_id, p.default_code AS product_code,
  coalesce(t.name, l.name) AS product_name, l.product_uom_qty AS quantity,
  minor{l.price_unit * (CASE coalesce(c.decimal_places, 2) WHEN 0 THEN 1 WHEN 3 THEN 1000 WHEN 4 THEN 10000 ELSE 100 END)} AS unit_price_minor,
  minor{l.price_total * (CASE coalesce(c.decimal_places, 2) WHEN 0 THEN 1 WHEN 3 THEN 1000 WHEN 4 THEN 10000 ELSE 100 END)} AS total_minor,
  c.name AS currency
FROM odoo_sale_order_line l
LEFT JOIN odoo_sale_order o ON o.account = l.account AND o.id = l.order_id
LEFT JOIN odoo_product_product p ON p.account = l.account AND p.id = l.product_id
LEFT JOIN odoo_product_template t ON t.account = p.account AND t.id = p.product_tmpl_id
LEFT JOIN odoo_currency c ON c.account = l.account AND c.id = coalesce(l.currency_id, o.currency_id)
WHERE l._cmp_deleted_at IS NULL AND o._cmp_deleted_at IS NULL AND l.display_type IS NULL;

-- view: order_products
-- needs odoo_sale_order_line as l
-- needs odoo_sale_order as o
-- joins odoo_product_product as p
-- joins odoo_currency as c
SELECT 'odoo' AS source, l.account AS account, o.name AS order_number, p.default_code AS product_code,
  sum(l.product_uom_qty) AS quantity,
  minor_sum{l.price_total * (CASE coalesce(c.decimal_places, 2) WHEN 0 THEN 1 WHEN 3 THEN 1000 WHEN 4 THEN 10000 ELSE 100 END)} AS total_minor,
  count(*) AS lines
FROM odoo_sale_order_line l
JOIN odoo_sale_order o ON o.account = l.account AND o.id = l.order_id
LEFT JOIN odoo_product_product p ON p.account = l.account AND p.id = l.product_id
LEFT JOIN odoo_currency c ON c.account = l.account AND c.id = coalesce(l.currency_id, o.currency_id)
WHERE l._cmp_deleted_at IS NULL AND o._cmp_deleted_at IS NULL AND l.display_type IS NULL
GROUP BY l.account, o.id, o.name, p.default_code, CASE WHEN p.default_code IS NULL THEN l.product_id END;

-- view: products
-- needs odoo_product_product as p
-- joins odoo_product_template as t
-- joins odoo_currency as c
SELECT 'odoo' AS source, p.account AS account, p.id AS id, p.default_code AS code, coalesce(t.name, p.name) AS name,
  minor{coalesce(p.lst_price, t.list_price) * (CASE coalesce(c.decimal_places, 2) WHEN 0 THEN 1 WHEN 3 THEN 1000 WHEN 4 THEN 10000 ELSE 100 END)} AS price_minor,
  c.name AS currency, p.qty_available AS stock, coalesce(p.active, t.active) AS active,
  CASE WHEN p.write_date > t.write_date THEN p.write_date ELSE coalesce(t.write_date, p.write_date) END AS updated_at
FROM odoo_product_product p
LEFT JOIN odoo_product_template t ON t.account = p.account AND t.id = p.product_tmpl_id
LEFT JOIN odoo_currency c ON c.account = p.account AND c.is_company
WHERE p._cmp_deleted_at IS NULL;
