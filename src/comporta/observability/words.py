"""What people read of an event, in their language: made of its name and its fields when it is shown.

What is stored is the English message, which is never parsed. Of an event's phrases the first counts whose fields are
all there, the longest first; where there is none, as in lines of an older version, the stored message is shown.
"""

from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType

from comporta.core.language import Language

EN, PT = Language.EN, Language.PT
Phrases = tuple[str, ...]
COUNTS_EN = "{inserted} new, {updated} changed, {unchanged} unchanged, {rejected} rejected"
COUNTS_PT = "{inserted} novos, {updated} alterados, {unchanged} iguais, {rejected} rejeitados"


def _words(en: str | Phrases, pt: str | Phrases) -> Mapping[Language, Phrases]:
    return {EN: (en,) if isinstance(en, str) else en, PT: (pt,) if isinstance(pt, str) else pt}


WORDS: Mapping[str, Mapping[Language, Phrases]] = MappingProxyType(
    {
        "run_queued": _words(
            ("already running as {holder} - waits for it", "queued"),
            ("já está em execução ({holder}) - espera por ela", "na fila"),
        ),
        "scheduling_failed": _words(
            "what is due could not be queued: {message}", "o que vence não pôde entrar na fila: {message}"
        ),
        "dispatching_failed": _words(
            "a queued run could not be taken: {message}", "uma execução da fila não pôde ser iniciada: {message}"
        ),
        "beat_failed": _words(
            "no sign of life could be given: {message}", "não foi possível dar sinal de vida: {message}"
        ),
        "accounts_changed": _words(
            "accounts came, changed or went: {accounts}", "contas novas, alteradas ou removidas: {accounts}"
        ),
        "accounts_not_read": _words(
            "the accounts there are now could not be taken up: {message}",
            "as contas que existem agora não puderam ser lidas: {message}",
        ),
        "run_started": _words(
            (
                "started: {trial}, {request}, attempt {attempt} of {attempts}",
                "started: {trial}, attempt {attempt} of {attempts}",
                "started: {request}, attempt {attempt} of {attempts}",
                "started: attempt {attempt} of {attempts}",
                "started",
            ),
            (
                "iniciada: {trial}, {request}, tentativa {attempt} de {attempts}",
                "iniciada: {trial}, tentativa {attempt} de {attempts}",
                "iniciada: {request}, tentativa {attempt} de {attempts}",
                "iniciada: tentativa {attempt} de {attempts}",
                "iniciada",
            ),
        ),
        "run_succeeded": _words(
            (f"succeeded: {{read}} read: {COUNTS_EN}", "succeeded"),
            (f"concluída com sucesso: {{read}} lidos: {COUNTS_PT}", "concluída com sucesso"),
        ),
        "run_failed": _words(("failed: {code} {message}", "failed"), ("falhou: {code} {message}", "falhou")),
        "run_interrupted": _words(
            ("interrupted, and handed over: {message}", "interrupted, and handed over"),
            ("interrompida, e passada adiante: {message}", "interrompida, e passada adiante"),
        ),
        "run_cancelled": _words(("cancelled: {message}", "cancelled"), ("cancelada: {message}", "cancelada")),
        "run_timed_out": _words(
            ("timed out: {code} {message}", "timed out"),
            ("tempo esgotado: {code} {message}", "tempo esgotado"),
        ),
        "run_skipped": _words(
            ("skipped: {refused}", "already running - skipped: {message}", "already running - skipped"),
            ("ignorada: {refused}", "já está em execução - ignorada: {message}", "já está em execução - ignorada"),
        ),
        "run_retrying": _words(
            "tried again in {delay_s} s: attempt {attempt} of {attempts}",
            "nova tentativa em {delay_s} s: {attempt} de {attempts}",
        ),
        "lease_acquired": _words(
            ("lease acquired: epoch {epoch}, held by {instance}", "lease acquired: epoch {epoch}"),
            ("concessão obtida: época {epoch}, por {instance}", "concessão obtida: época {epoch}"),
        ),
        "lease_released": _words(
            ("lease released: epoch {epoch}", "lease released"),
            ("concessão liberada: época {epoch}", "concessão liberada"),
        ),
        "lease_lost": _words(
            "the lease was lost: another run took over, or may have",
            "a concessão foi perdida: outra execução assumiu, ou pode ter assumido",
        ),
        "end_not_written": _words(
            ("ended, which could not be written ({unwritten}): {code} {message}", "ended, which could not be written"),
            ("terminou, e isso não pôde ser gravado ({unwritten}): {code} {message}", "o fim não pôde ser gravado"),
        ),
        "legacy_lock_awaited": _words(
            "waits for the key of an older program: {message}",
            "espera pela chave de um programa antigo: {message}",
        ),
        "legacy_lock_unreachable": _words(
            "Redis does not answer; goes on with the lease in the database alone: {message}",
            "o Redis não responde; continua só com a concessão no banco de dados: {message}",
        ),
        "window_planned": _words(
            (
                "{kind}: {since} to {until}, overlap {overlap}",
                "{kind}: {since} to {until}",
                "{kind}: from the beginning to {until}",
            ),
            (
                "{kind}: de {since} até {until}, sobreposição {overlap}",
                "{kind}: de {since} até {until}",
                "{kind}: desde o início até {until}",
            ),
        ),
        "window_verified": _words(
            (
                "the source counts {before} before and {after} after, {read} read; {listed} listed again, all here",
                "{read} read; {listed} listed again, all here",
            ),
            (
                "a fonte conta {before} antes e {after} depois, {read} lidos; {listed} listados de novo, todos aqui",
                "{read} lidos; {listed} listados de novo, todos aqui",
            ),
        ),
        "window_closed": _words(
            (f"covered to {{until}}: {COUNTS_EN}", COUNTS_EN), (f"coberto até {{until}}: {COUNTS_PT}", COUNTS_PT)
        ),
        "pass_started": _words(
            (
                "{referred} records that {by} refer to",
                "{changeable} records that may still change",
                "{expected} records in the window, by the source's count",
                "an unknown number of records in the window",
            ),
            (
                "{referred} registros citados por {by}",
                "{changeable} registros que ainda podem mudar",
                "{expected} registros no intervalo, pela contagem da fonte",
                "número desconhecido de registros no intervalo",
            ),
        ),
        "pass_resumed": _words(
            ("goes on after {position}: to {until}, {read} read so far", "goes on: {read} read so far"),
            ("continua depois de {position}: até {until}, {read} já lidos", "continua: {read} já lidos"),
        ),
        "request_retried": _words(
            (
                "{operation}: went wrong ({code}), sent again in {delay_s} s, attempt {attempt} of {attempts}: {error}",
                "{operation}: went wrong ({code}), sent again, attempt {attempt} of {attempts}: {error}",
            ),
            (
                "{operation}: deu errado ({code}), nova tentativa em {delay_s} s, {attempt} de {attempts}: {error}",
                "{operation}: deu errado ({code}), enviada de novo, tentativa {attempt} de {attempts}: {error}",
            ),
        ),
        "prices_missing": _words(
            "{items} items came without a price (first: {first}); the price that is here stays",
            "{items} anúncios vieram sem preço (primeiro: {first}); o preço que já está aqui fica",
        ),
        "login_renewed": _words(
            "the login was renewed, valid until {until}", "o acesso foi renovado, válido até {until}"
        ),
        "login_not_renewed": _words(
            "the login was not renewed, the present one still holds: {code} {error}",
            "o acesso não foi renovado, o atual ainda vale: {code} {error}",
        ),
        "page_read": _words(
            ("page {page} of {pages}: {rows} records", "page {page}: {rows} records"),
            ("página {page} de {pages}: {rows} registros", "página {page}: {rows} registros"),
        ),
        "batch_compared": _words(f"compared: {COUNTS_EN}", f"comparados: {COUNTS_PT}"),
        "batch_committed": _words(
            (f"written: {COUNTS_EN}, {{released}} no longer at the source", f"written: {COUNTS_EN}"),
            (f"gravado: {COUNTS_PT}, {{released}} não existem mais na fonte", f"gravado: {COUNTS_PT}"),
        ),
        "records_rejected": _words(
            "{key} cannot be written, and waits in quarantine: {reason}",
            "{key} não pode ser gravado, e espera em quarentena: {reason}",
        ),
        "records_untold": _words(
            "{rows} records came without {columns}: what is known of these stays, and they are asked for again",
            "{rows} registros vieram sem {columns}: o que já se sabe deles fica, e eles são pedidos de novo",
        ),
        "records_deleted": _words("{rows} rows are gone at the source", "{rows} linhas não existem mais na fonte"),
        "children_relisted": _words(
            "of {parents} changed parents: {inserted} new, {updated} changed, {gone} gone",
            "de {parents} registros pais alterados: {inserted} novos, {updated} alterados, {gone} removidos",
        ),
        "children_untold": _words(
            "what belongs to {key} was not told, and is asked for again in {hours} hours: {reason}",
            "o que pertence a {key} não foi informado, e é pedido de novo em {hours} horas: {reason}",
        ),
        "sweep_chosen": _words(
            "{parents} changed records would be a request each; to read all {rows} of this stream takes fewer",
            "{parents} registros alterados seriam uma requisição cada; ler todos os {rows} deste fluxo custa menos",
        ),
        "hints_handled": _words(
            "{hints} told of: {known} known already, {inserted} new, {updated} changed, {unchanged} unchanged,"
            " {later} not there yet, {given_up} not there at all",
            "{hints} avisados: {known} já conhecidos, {inserted} novos, {updated} alterados, {unchanged} iguais,"
            " {later} ainda não existem, {given_up} não existem",
        ),
        "hints_let_go": _words(
            (
                "{hints} records that were looked for in vain are named by no {by} any more",
                "{unnamed} records that were told of are named by no {by}, and let go unseen",
                "{unseen} records that were told of are not here, had no turn for a day, and are let go unseen",
            ),
            (
                "{hints} registros procurados em vão já não são citados por nenhum registro de {by}",
                "{unnamed} registros avisados não são citados por nenhum registro de {by}, e não foram procurados",
                "{unseen} registros notificados não estão aqui, não tiveram vez em um dia, e não são mais esperados",
            ),
        ),
        "hints_wait": _words(
            "{waiting} records that were told of are not here, and wait: {most} an hour are looked for in vain",
            "{waiting} registros notificados não estão aqui e esperam: {most} por hora são procurados em vão",
        ),
        "schema_changed": _words(
            (
                "table {table} created with {columns} columns",
                "table {table}: new columns {added}",
                "table {table}: {column} is {type} now",
                "view {view} created",
                "view {made_again} made again",
                (
                    "view {left} stays as it was, without the latest custom fields: {others};"
                    " drop what depends on it, and the next run makes it again"
                ),
                (
                    "a column ({lost}) of the table of {of} was gone, with data that was covered:"
                    " all of it is read again"
                ),
                "the table of {of} was gone, with data that was covered: all of it is read again",
                "table or view fitted: {change}",
            ),
            (
                "tabela {table} criada com {columns} colunas",
                "tabela {table}: novas colunas {added}",
                "tabela {table}: {column} agora é {type}",
                "visão {view} criada",
                "visão {made_again} refeita",
                (
                    "a visão {left} ficou como estava, sem os campos personalizados mais recentes: {others};"
                    " remova o que depende dela, e a próxima execução a refaz"
                ),
                (
                    "uma coluna ({lost}) da tabela de {of} tinha sumido, com dados que estavam cobertos:"
                    " tudo é lido de novo"
                ),
                "a tabela de {of} tinha sumido, com dados que estavam cobertos: tudo é lido de novo",
                "tabela ou visão ajustada: {change}",
            ),
        ),
        "coverage_voided": _words(
            (
                "the source's clock was ahead: it is {behind} behind ours now; covered to {until} only",
                "{changed} changed: what was covered counts no more, everything is read again",
            ),
            (
                "o relógio da fonte estava adiantado: agora está {behind} atrás do nosso; coberto só até {until}",
                "mudança em {changed}: o que estava coberto não vale mais, tudo é lido de novo",
            ),
        ),
        "reconcile_compared": _words(
            (
                "{missing} are missing, {different} different, {extra} gone at the source; {identical_percent} % equal",
                "{suspects} records of {hours} hours are looked at again",
                "{suspects} records are looked at again",
            ),
            (
                "{missing} faltam, {different} diferentes, {extra} sumiram da fonte; {identical_percent} % iguais",
                "{suspects} registros de {hours} horas são vistos de novo",
                "{suspects} registros são vistos de novo",
            ),
        ),
        "reconcile_repaired": _words(
            "{missing} were missing, {different} different, {extra} gone at the source; repaired",
            "{missing} faltavam, {different} diferentes, {extra} sumiram da fonte; corrigido",
        ),
        "server_started": _words(
            ("the server listens at {url}", "at work; metrics at {metrics_url}", "at work, listening nowhere"),
            (
                "o servidor atende em {url}",
                "em funcionamento; métricas em {metrics_url}",
                "em funcionamento, sem atender em lugar nenhum",
            ),
        ),
        "server_stopped": _words("the server ended", "o servidor terminou"),
        "log_lines_dropped": _words(
            "{lines} lines of the log are missing here: nobody took them",
            "faltam aqui {lines} linhas do log, que ninguém leu",
        ),
        "library_warned": _words("{library} says: {message}", "{library} diz: {message}"),
        "missed_notifications_read": _words(
            "{found} notifications that could not be delivered were read",
            "{found} notificações que não puderam ser entregues foram lidas",
        ),
        "notifications_failed": _words(
            "something about notifications went wrong while trying to {attempt}; it is done again by itself",
            "algo deu errado com as notificações ({attempt}); será refeito sozinho",
        ),
        "alert_opened": _words("alert {key}: {message}", "aviso {key}: {message}"),
        "alert_closed": _words("alert {key} is over: {message}", "aviso {key} resolvido: {message}"),
        "alerts_told": _words("people were told of {keys}", "as pessoas foram avisadas de {keys}"),
        "alerts_not_told": _words(
            "nobody could be told of {keys}; it is tried again", "ninguém pôde ser avisado de {keys}; é tentado de novo"
        ),
        "alerts_not_kept": _words(
            "alerts could not be looked for or kept: {error}", "os avisos não puderam ser vistos ou guardados: {error}"
        ),
        "stale_rows_ahead": _words(
            "{rows} rows are stamped ahead of the source's clock, up to {latest}",
            "{rows} linhas têm data à frente do relógio da fonte, até {latest}",
        ),
    }
)
"""Each event of ``events``, in each language."""

TABLE = "the mirrored table"
QUERY = "source, fields, domain or companies"
TERMS_PT = MappingProxyType(
    {
        TABLE: "tabela espelhada",
        QUERY: "fonte, campos, domínio ou empresas",
        "incremental": "incremental",
        "full": "carga completa",
        "clear_first": "carga completa com limpeza",
        "manual": "intervalo pedido",
        "hole": "lacuna",
        "notification": "notificações",
        "reconcile": "conferência",
        "quarantine": "quarentena",
        "dry_run": "ensaio",
    }
)
"""Words of ours that stand in fields."""
TERM_FIELDS = frozenset({"changed", "kind", "request", "trial"})


def said(step: str, fields: Mapping[str, object], language: Language) -> str | None:
    """Return the event in words, ``None`` where its fields are not those of any phrase.

    >>> said("page_read", {"page": 3, "pages": 12, "rows": 1000}, Language.PT)
    'página 3 de 12: 1.000 registros'
    >>> said("page_read", {"page": 3, "pages": None, "rows": 1000}, Language.EN)
    'page 3: 1,000 records'
    >>> said("page_read", {"rows": 1000, "position": "x"}, Language.EN)
    """
    known = {name: value for name, value in fields.items() if value is not None}
    for phrase in WORDS.get(step, {}).get(language, ()):
        if placeholders(phrase) <= known.keys():
            return phrase.format_map({name: _shown(name, value, language) for name, value in known.items()})
    return None


def placeholders(phrase: str) -> frozenset[str]:
    """Return the fields that a phrase needs.

    >>> sorted(placeholders("{rows} of {all}"))
    ['all', 'rows']
    """
    return frozenset(name for _, name, _, _ in Formatter().parse(phrase) if name)


def _shown(name: str, value: object, language: Language) -> str:
    if name in TERM_FIELDS and isinstance(value, str):
        return term(value if name == "changed" else value.partition(" ")[0], language)
    if isinstance(value, int | float) and not isinstance(value, bool) and name not in {"epoch", "page", "pages"}:
        return figure_text(value, language)
    return str(value)


def term(word: str, language: Language) -> str:
    """Say a word of ours that stands in a field.

    >>> term("clear_first", Language.EN), term("clear_first", Language.PT)
    ('clear-first', 'carga completa com limpeza')
    """
    return TERMS_PT.get(word, word) if language is PT else word.replace("_", "-")


def figure_text(value: float, language: Language) -> str:
    """Write a number as people of the language do.

    >>> figure_text(1234.5, Language.EN), figure_text(1234.5, Language.PT)
    ('1,234.5', '1.234,5')
    """
    text = f"{value:,}"
    return text.translate(str.maketrans(",.", ".,")) if language is PT else text
