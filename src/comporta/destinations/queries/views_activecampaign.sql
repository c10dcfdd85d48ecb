-- What ActiveCampaign contributes to the views of docs/reference/tables.md, in the form of views_odoo.sql. Amounts come in minor units.
-- Names are trimmed and joined here: the API gives them in two parts, either of which may be empty. A status that is not known yet is
-- shown as it is.
-- integer columns: id group stage owner contact value
-- text columns: account title status currency first_name last_name email
-- timestamp columns: cdate mdate _cmp_deleted_at

-- view: deals
-- needs activecampaign_deals as d
-- joins activecampaign_deal_groups as g
-- joins activecampaign_deal_stages as s
-- joins activecampaign_users as u
-- joins activecampaign_contacts as c
SELECT d.account AS account, d.id AS id, d.title AS title, g.title AS pipeline, s.title AS stage,
  CASE d.status WHEN '0' THEN 'open' WHEN '1' THEN 'won' WHEN '2' THEN 'lost' ELSE CAST(d.status AS TEXT) END AS status,
  d.value AS value_minor, upper(d.currency) AS currency,
  coalesce(nullif(trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')), ''), u.email) AS owner,
  coalesce(nullif(c.email, ''), nullif(trim(coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '')), '')) AS contact,
  d.cdate AS created_at, d.mdate AS updated_at
FROM activecampaign_deals d
LEFT JOIN activecampaign_deal_groups g ON g.account = d.account AND g.id = d.group
LEFT JOIN activecampaign_deal_stages s ON s.account = d.account AND s.id = d.stage
LEFT JOIN activecampaign_users u ON u.account = d.account AND u.id = d.owner
LEFT JOIN activecampaign_contacts c ON c.account = d.account AND c.id = d.contact
WHERE d._cmp_deleted_at IS NULL;
