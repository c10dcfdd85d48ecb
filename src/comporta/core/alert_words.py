"""What people are told, in Portuguese and English: the one catalogue of alerts.

Each phrase is a message and what to do about it, with the alert's fields in braces. An error's own message stays as it
was written, because that is what one looks for in a log; its next step is translated by the error's code.
"""

from collections.abc import Mapping
from types import MappingProxyType

from comporta.core.alert_steps import SOURCE_STEPS_PT, STEPS_PT
from comporta.core.language import Language

Phrase = tuple[str, str]

PHRASES: Mapping[str, Mapping[Language, Phrase]] = MappingProxyType(
    {
        "stale": {
            Language.PT: (
                "{subject}: os dados têm {age} de atraso; o prometido é no máximo {promise}",
                (
                    "Veja as últimas execuções com `comporta runs --account {account}` e atualize já com"
                    " `comporta sync {account}`."
                ),
            ),
            Language.EN: (
                "{subject}: the data is {age} old; the promise is {promise} at most",
                (
                    "See the last runs with `comporta runs --account {account}`, and bring it up to date with"
                    " `comporta sync {account}`."
                ),
            ),
        },
        "stale_never": {
            Language.PT: (
                "{subject}: a primeira carga foi pedida há {age} e ainda não terminou",
                "Veja o motivo com `comporta runs --account {account}` e continue com `comporta sync {account}`.",
            ),
            Language.EN: (
                "{subject}: the first load was asked for {age} ago and is not finished",
                "See why with `comporta runs --account {account}`, and go on with `comporta sync {account}`.",
            ),
        },
        "stale_limited": {
            Language.PT: (
                (
                    "{subject}: os dados têm {age} de atraso (prometido: {promise}), porque a fonte recusa requisições"
                    " por mais {paused}: {reason}"
                ),
                (
                    "Espere a pausa acabar: continua sozinho. Se isso se repete, outro programa usa a mesma cota:"
                    " descubra"
                    " qual, ou peça um limite maior na fonte."
                ),
            ),
            Language.EN: (
                (
                    "{subject}: the data is {age} old (promise: {promise}), because the source refuses requests"
                    " for another"
                    " {paused}: {reason}"
                ),
                (
                    "Wait for the pause to end: it goes on by itself. If this comes again, another program uses"
                    " the same"
                    " quota: find it, or ask the source for a higher limit."
                ),
            ),
        },
        "hole": {
            Language.PT: (
                "{subject}: há uma lacuna na cobertura, até {until}, que as execuções não fecharam",
                "Leia esse intervalo com `comporta sync {first}`; `comporta coverage {first}` mostra as lacunas.",
            ),
            Language.EN: (
                "{subject}: coverage has a hole, up to {until}, that runs have not closed",
                "Read it with `comporta sync {first}`; `comporta coverage {first}` shows the holes.",
            ),
        },
        "failing": {
            Language.PT: (
                "{subject}: falhou {times} vez(es) seguida(s) com {code}: {error}",
                "Veja o registro com `comporta log {run}`.",
            ),
            Language.EN: (
                "{subject}: failed {times} time(s) in a row with {code}: {error}",
                "See the log with `comporta log {run}`.",
            ),
        },
        "needs_login": {
            Language.PT: (
                "{account}: o acesso foi revogado ou expirou, e só uma pessoa pode autorizá-lo de novo ({reason})",
                (
                    "Autorize de novo: `comporta connect mercadolivre {account}`. Nada se perdeu; a próxima execução"
                    " continua."
                ),
            ),
            Language.EN: (
                "{account}: access was revoked or ran out, and only a person can grant it again ({reason})",
                "Grant access again: `comporta connect mercadolivre {account}`. Nothing is lost; the next run goes on.",
            ),
        },
        "slow_run": {
            Language.PT: (
                "{subject}: a execução {run} dura {lasts}; o usual é {usual}",
                "Veja o que ela espera com `comporta log {run}`; se estiver parada, `comporta run cancel {run}`.",
            ),
            Language.EN: (
                "{subject}: run {run} has been going for {lasts}; {usual} is usual",
                "See what it waits for with `comporta log {run}`; if it hangs, `comporta run cancel {run}`.",
            ),
        },
        "no_records": {
            Language.PT: (
                "{subject}: as últimas {runs} execuções não trouxeram nenhum registro, e antes traziam",
                "Confira na fonte as permissões e os filtros desta conta, e compare com `comporta reconcile {first}`.",
            ),
            Language.EN: (
                "{subject}: the last {runs} runs brought no record, and earlier ones did",
                (
                    "Check this account's permissions and filters at the source, and compare with"
                    " `comporta reconcile {first}`."
                ),
            ),
        },
        "quarantine": {
            Language.PT: (
                "{subject}: {lately} registros entraram em quarentena nas últimas 24 horas; {waiting} esperam",
                "Veja os motivos: `comporta quarantine`; corrija na fonte e faça `comporta quarantine retry {first}`.",
            ),
            Language.EN: (
                "{subject}: {lately} records went into quarantine in the last 24 hours; {waiting} wait",
                (
                    "See the reasons with `comporta quarantine`, mend them at the source, then"
                    " `comporta quarantine retry {first}`."
                ),
            ),
        },
        "counts": {
            Language.PT: (
                "{subject}: as contagens da execução {run} não fecham: {read} lidos, {sum} contados",
                "Compare com a fonte: `comporta reconcile {first} --repair`, e relate com `comporta log {run}`.",
            ),
            Language.EN: (
                "{subject}: the counts of run {run} do not add up: {read} read, {sum} accounted for",
                (
                    "Compare with the source: `comporta reconcile {first} --repair`, and report it with"
                    " `comporta log {run}`."
                ),
            ),
        },
        "database": {
            Language.PT: (
                "O banco de dados não responde como deve ({code}): {error}",
                "Veja o que há com `comporta doctor`. As execuções continuam onde pararam quando ele voltar.",
            ),
            Language.EN: (
                "The database does not answer as it should ({code}): {error}",
                "See what is wrong with `comporta doctor`. Runs go on where they stopped when it is back.",
            ),
        },
        "disk": {
            Language.PT: (
                "O disco de {where} está quase cheio: {free_mb} MB livres, menos que {least_mb} MB",
                "Libere espaço ou mude o banco para um disco maior; com o disco cheio nada mais é gravado.",
            ),
            Language.EN: (
                "The disk of {where} is nearly full: {free_mb} MB free, less than {least_mb} MB",
                "Free some space, or move the database to a larger disk; on a full one nothing more is written.",
            ),
        },
        "legacy_lock": {
            Language.PT: (
                "O Redis não responde, e o que um programa antigo também lê espera ({code}): {error}",
                "Veja o que falta com `comporta check`.",
            ),
            Language.EN: (
                "Redis does not answer, and what an older program reads too waits ({code}): {error}",
                "See what is missing with `comporta check`.",
            ),
        },
        "clock": {
            Language.PT: (
                "{account}: o relógio da fonte e o nosso diferem em {span}",
                (
                    "Acerte o relógio desta máquina pela internet (NTP) e veja `comporta check {account}`; se o nosso"
                    " estiver certo, avise quem cuida da fonte."
                ),
            ),
            Language.EN: (
                "{account}: the source's clock and ours are {span} apart",
                (
                    "Set this machine's clock by the network (NTP) and see `comporta check {account}`; if ours is"
                    " right,"
                    " tell who runs the source."
                ),
            ),
        },
        "clock_jumped": {
            Language.PT: (
                "O relógio desta máquina saltou {span}: foi acertado à mão, ou a máquina ficou suspensa",
                (
                    "Ligue o acerto automático (NTP), que corrige aos poucos; nada se perdeu, porque os"
                    " intervalos seguem o relógio da fonte."
                ),
            ),
            Language.EN: (
                "This machine's clock jumped by {span}: it was set, or the machine slept",
                (
                    "Turn on setting by the network (NTP), which corrects it little by little; no window was lost,"
                    " for they"
                    " go by the source's clock."
                ),
            ),
        },
        "scheduler": {
            Language.PT: (
                "O agendador ({instance}) não dá sinal de vida há {span}: nada é sincronizado sozinho",
                "Inicie `comporta serve` de novo; ele continua onde parou. Veja depois `comporta status`.",
            ),
            Language.EN: (
                "The scheduler ({instance}) has given no sign of life for {span}: nothing is synced by itself",
                "Start `comporta serve` again; it goes on where it stopped. Then see `comporta status`.",
            ),
        },
        "channel": {
            Language.PT: (
                "Os avisos não saem por {channel}: {error}",
                "Corrija [alerts.{channel}] e experimente com `comporta alerts test --channel {channel}`.",
            ),
            Language.EN: (
                "Alerts do not get out by {channel}: {error}",
                "Correct [alerts.{channel}] and try it with `comporta alerts test --channel {channel}`.",
            ),
        },
        "test": {
            Language.PT: (
                "Este é um teste de aviso da Comporta: se você lê isto, o canal funciona",
                "Não há nada a fazer.",
            ),
            Language.EN: (
                "This is a test alert of Comporta: if you read it, the channel works",
                "There is nothing to do.",
            ),
        },
    }
)
"""Every phrase in every language: one for each kind, and those of its variants."""

LABELS: Mapping[str, Mapping[Language, str]] = MappingProxyType(
    {
        "error": {Language.PT: "ERRO", Language.EN: "ERROR"},
        "warning": {Language.PT: "ATENÇÃO", Language.EN: "WARNING"},
        "closed": {Language.PT: "RESOLVIDO", Language.EN: "RESOLVED"},
        "todo": {Language.PT: "O que fazer", Language.EN: "Next"},
        "since": {Language.PT: "desde", Language.EN: "since"},
        "lasted": {Language.PT: "durou", Language.EN: "lasted"},
        "several": {
            Language.PT: "{opened} aviso(s), {closed} resolvido(s)",
            Language.EN: "{opened} alert(s), {closed} resolved",
        },
        "silence": {
            Language.PT: "Silencie um aviso com `comporta alerts mute CHAVE --for 4h`.",
            Language.EN: "Silence an alert with `comporta alerts mute KEY --for 4h`.",
        },
    }
)
"""The words around the phrases."""


def said(phrase: str, language: Language, fields: Mapping[str, object]) -> Phrase:
    """Return message and next step in words.

    >>> said("disk", Language.EN, {"where": "/data", "free_mb": 90, "least_mb": 500})[0]
    'The disk of /data is nearly full: 90 MB free, less than 500 MB'
    """
    message, step = PHRASES[phrase][language]
    return message.format_map(fields), step.format_map(fields)


def step_of(code: str, written: str, language: Language) -> str:
    """Return an error's next step: as it was written, or in Portuguese, by its words or else by its code.

    >>> step_of("CMP-NET-006", "Nothing to do.", Language.EN)
    'Nothing to do.'
    """
    if language is not Language.PT:
        return written
    return SOURCE_STEPS_PT.get(written) or STEPS_PT.get(code, written)


def label(word: str, language: Language) -> str:
    """Return one of the words around the phrases."""
    return LABELS[word][language]


def span_text(seconds: float) -> str:
    """Return a length of time in its two largest units, the same in both languages.

    >>> span_text(7_500), span_text(42), span_text(200_000)
    ('2h 5min', '42s', '2d 7h')
    """
    left, parts = int(seconds), []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, length)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts[:2]) or "0s"
