"""Which fields Odoo's models have, version by version: one line per field.

A line reads ``name type[:comodel or options] [computed] [required] [first-last]``. ``computed`` means
not stored (``store: false``); a range such as ``17-`` or ``16-18`` limits the versions; ``~`` stands
for a space inside an option.
"""

from comporta.sandbox.odoo_models_sale import LINE, ORDER, THREAD

FIRST_VERSION = 16
LAST_VERSION = 19
INHERITS = {"product.product": ("product.template", "product_tmpl_id")}

MAGIC = """
id integer
create_date datetime
write_date datetime
create_uid many2one:res.users
write_uid many2one:res.users
display_name char computed
__last_update datetime computed 16-16
"""

PARTNER = (
    """
name char
complete_name char 17-
active boolean
ref char
vat char
cnpj_cpf char 16-16
inscr_est char 16-16
legal_name char 16-16
email char
email_normalized char
email_formatted char computed
phone char
mobile char 16-18
street char
street2 char
zip char
city char
state_id many2one:res.country.state
country_id many2one:res.country
country_code char computed
contact_address char computed
parent_id many2one:res.partner
parent_name char computed
child_ids one2many:res.partner
is_company boolean
company_type selection:person,company computed
type selection:contact,invoice,delivery,other
lang selection:en_US,pt_BR
tz selection:UTC,America/Sao_Paulo
tz_offset char computed
user_id many2one:res.users
company_id many2one:res.company
category_id many2many:res.partner.category
function char
website char
comment html
color integer
title many2one:res.partner.title 16-18
date date 16-17
barcode char computed
company_name char
commercial_partner_id many2one:res.partner
commercial_company_name char
industry_id many2one:res.partner.industry
employee boolean
partner_latitude float
partner_longitude float
partner_share boolean
customer_rank integer
supplier_rank integer
credit float computed
credit_limit float computed
property_payment_term_id many2one:account.payment.term computed
property_product_pricelist many2one:product.pricelist computed
sale_order_count integer computed
sale_order_ids one2many:sale.order
total_invoiced monetary computed
image_1920 binary
image_128 binary
avatar_128 binary computed
"""
    + THREAD
)

TEMPLATE = (
    """
name char required
sequence integer
active boolean
description html
description_sale text
description_purchase text
detailed_type selection:consu,service,product 16-17
type selection:consu,service,product 16-17
type selection:consu,service,combo 18-
is_storable boolean 18-
categ_id many2one:product.category required
list_price float
standard_price float computed
volume float computed
weight float computed
sale_ok boolean
purchase_ok boolean
uom_id many2one:uom.uom required
uom_po_id many2one:uom.uom 16-18
uom_ids many2many:uom.uom 19-
company_id many2one:res.company
color integer
default_code char
barcode char computed
product_variant_ids one2many:product.product
product_variant_id many2one:product.product computed
product_variant_count integer computed
currency_id many2one:res.currency computed
cost_currency_id many2one:res.currency computed
priority selection:0,1 16-17
is_favorite boolean 18-
invoice_policy selection:order,delivery
expense_policy selection:no,cost,sales_price
service_type selection:manual
sale_delay integer
tracking selection:serial,lot,none
taxes_id many2many:account.tax
supplier_taxes_id many2many:account.tax
qty_available float computed
virtual_available float computed
incoming_qty float computed
outgoing_qty float computed
image_1920 binary
image_128 binary
can_image_1024_be_zoomed boolean
has_configurable_attributes boolean
ncm_id many2one:l10n_br_fiscal.ncm 16-16
fiscal_type char 16-16
"""
    + THREAD
)

PRODUCT = """
product_tmpl_id many2one:product.template required
default_code char
code char computed
partner_ref char computed
barcode char
active boolean
combination_indices char
product_template_attribute_value_ids many2many:product.template.attribute.value
is_product_variant boolean computed
price_extra float computed
lst_price float computed
standard_price float computed
volume float
weight float
qty_available float computed
virtual_available float computed
free_qty float computed
incoming_qty float computed
outgoing_qty float computed
stock_quant_ids one2many:stock.quant
image_variant_1920 binary
can_image_variant_1024_be_zoomed boolean
"""

CURRENCY = """
name char required
full_name char
symbol char required
rate float computed
inverse_rate float computed
rounding float
decimal_places integer
active boolean
position selection:after,before
currency_unit_label char
currency_subunit_label char
"""

COMPANY = """
name char required
partner_id many2one:res.partner required
currency_id many2one:res.currency required
parent_id many2one:res.company
child_ids one2many:res.company
sequence integer
active boolean
email char
phone char
vat char computed
street char computed
city char computed
country_id many2one:res.country computed
logo binary computed
"""

USER = """
name char computed
login char required
active boolean
partner_id many2one:res.partner required
company_id many2one:res.company required
company_ids many2many:res.company
groups_id many2many:res.groups 16-18
group_ids many2many:res.groups 19-
lang char computed
tz char computed
email char computed
share boolean
signature html
password char computed
image_1920 binary computed
"""

NAMED = "name char required\n"
LOOKUPS = (
    "account.fiscal.position",
    "account.payment.term",
    "account.tax",
    "crm.tag",
    "crm.team",
    "product.category",
    "product.pricelist",
    "res.country",
    "res.country.state",
    "res.groups",
    "stock.warehouse",
    "uom.uom",
)

MODELS = {
    "sale.order": ORDER,
    "sale.order.line": LINE,
    "res.partner": PARTNER,
    "product.template": TEMPLATE,
    "product.product": PRODUCT,
    "res.currency": CURRENCY,
    "res.company": COMPANY,
    "res.users": USER,
    "ir.model": NAMED + "model char required\n",
    **dict.fromkeys(LOOKUPS, NAMED),
}
