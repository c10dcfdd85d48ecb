"""The fields of sales orders and their lines, and those every model with a discussion thread has.

Written in the one-line-per-field form that ``odoo_models`` explains; kept apart only for its length.
"""

THREAD = """
message_is_follower boolean computed
message_follower_ids one2many:mail.followers
message_partner_ids many2many:res.partner computed
message_ids one2many:mail.message
has_message boolean computed
message_needaction boolean computed
message_needaction_counter integer computed
message_has_error boolean computed
message_has_error_counter integer computed
message_attachment_count integer computed
message_main_attachment_id many2one:ir.attachment 16-17
website_message_ids one2many:mail.message
activity_ids one2many:mail.activity
activity_state selection:overdue,today,planned computed
activity_user_id many2one:res.users computed
activity_type_id many2one:mail.activity.type computed
activity_type_icon char computed
activity_date_deadline date computed
my_activity_date_deadline date computed
activity_summary char computed
activity_exception_decoration selection:warning,danger computed
activity_exception_icon char computed
activity_calendar_event_id many2one:calendar.event computed 17-
rating_ids one2many:rating.rating 18-
"""

ORDER = (
    """
name char required
company_id many2one:res.company required
partner_id many2one:res.partner required
state selection:draft,sent,sale,done,cancel 16-16
state selection:draft,sent,sale,cancel 17-
locked boolean 17-
has_archived_products boolean computed 18-
client_order_ref char
reference char
origin char
date_order datetime required
commitment_date datetime
validity_date date
signed_by char
signed_on datetime
signature binary
require_signature boolean
require_payment boolean
prepayment_percent float 17-
partner_invoice_id many2one:res.partner required
partner_shipping_id many2one:res.partner required
fiscal_position_id many2one:account.fiscal.position
payment_term_id many2one:account.payment.term
preferred_payment_method_line_id many2one:account.payment.method.line 19-
pricelist_id many2one:product.pricelist
currency_id many2one:res.currency
currency_rate float
user_id many2one:res.users
team_id many2one:crm.team
order_line one2many:sale.order.line
amount_untaxed monetary
amount_tax monetary
amount_total monetary
amount_to_invoice monetary computed 17-
amount_invoiced monetary computed 17-
amount_paid float computed
amount_undiscounted float computed
invoice_count integer computed
invoice_ids many2many:account.move computed
invoice_status selection:upselling,invoiced,to~invoice,no
journal_id many2one:account.journal 17-
note html
transaction_ids many2many:payment.transaction computed
authorized_transaction_ids many2many:payment.transaction computed
campaign_id many2one:utm.campaign
medium_id many2one:utm.medium
source_id many2one:utm.source
analytic_account_id many2one:account.analytic.account 16-17
tag_ids many2many:crm.tag
access_token char
access_url char computed
access_warning text computed
type_name char computed
sale_order_template_id many2one:sale.order.template
sale_order_option_ids one2many:sale.order.option 16-18
pending_email_template_id many2one:mail.template 18-
show_update_pricelist boolean computed
show_update_fpos boolean computed
tax_totals binary computed
tax_country_id many2one:res.country computed
tax_calculation_rounding_method selection:round_per_line,round_globally computed 17-
company_price_include selection:tax_included,tax_excluded computed 18-
terms_type selection:plain,html computed
duplicated_order_ids many2many:sale.order computed 17-
expected_date datetime computed
is_expired boolean computed
partner_credit_warning text computed
country_code char computed
warehouse_id many2one:stock.warehouse
picking_policy selection:direct,one
picking_ids one2many:stock.picking
delivery_count integer computed
delivery_status selection:pending,started,partial,full
effective_date datetime
late_availability boolean computed 18-
incoterm many2one:account.incoterms
incoterm_location char
procurement_group_id many2one:procurement.group 16-18
json_popover char computed
show_json_popover boolean computed
cnpj_cpf char 16-16
ind_final selection:0,1 16-16
"""
    + THREAD
)

LINE = """
order_id many2one:sale.order required
sequence integer
company_id many2one:res.company
currency_id many2one:res.currency
order_partner_id many2one:res.partner
salesman_id many2one:res.users
state selection:draft,sent,sale,done,cancel 16-16
state selection:draft,sent,sale,cancel 17-
display_type selection:line_section,line_note 16-18
display_type selection:line_section,line_subsection,line_note 19-
is_downpayment boolean
is_expense boolean
product_id many2one:product.product
product_template_id many2one:product.template computed
product_type selection:consu,service,combo computed
product_updatable boolean computed
product_uom_category_id many2one:uom.category computed 16-18
name text required
translated_product_name text computed 17-
product_uom_qty float
product_uom many2one:uom.uom 16-18
product_uom_id many2one:uom.uom 19-
tax_id many2many:account.tax 16-18
tax_ids many2many:account.tax 19-
product_packaging_id many2one:product.packaging 16-18
product_packaging_qty float 16-18
price_unit float
technical_price_unit float 18-
discount float
price_subtotal monetary
price_tax float
price_total monetary
price_reduce float 16-16
price_reduce_taxexcl monetary
price_reduce_taxinc monetary
pricelist_item_id many2one:product.pricelist.item computed
customer_lead float
qty_delivered_method selection:manual,analytic,stock_move
qty_delivered float
qty_invoiced float
qty_to_invoice float
invoice_lines many2many:account.move.line computed
invoice_status selection:upselling,invoiced,to~invoice,no
untaxed_amount_invoiced monetary
untaxed_amount_to_invoice monetary
amount_invoiced monetary computed 18-
amount_to_invoice monetary computed 18-
analytic_distribution json
analytic_precision integer computed
linked_line_id many2one:sale.order.line
linked_line_ids one2many:sale.order.line 18-
extra_tax_data json 19-
collapse_composition boolean 19-
collapse_prices boolean 19-
virtual_available_at_date float computed
free_qty_today float computed
qty_available_today float computed
forecast_expected_date datetime computed
is_mto boolean computed
display_qty_widget boolean computed
route_id many2one:stock.route 16-18
route_ids many2many:stock.route 19-
move_ids one2many:stock.move
warehouse_id many2one:stock.warehouse
ncm_id many2one:l10n_br_fiscal.ncm 16-16
cfop_id many2one:l10n_br_fiscal.cfop 16-16
"""
