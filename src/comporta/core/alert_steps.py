"""What to do about each error, in Portuguese, by the error's code; the English stands with the error itself.

Only errors that a run, the database or a channel can end with are told in an alert; a test holds this table to the
tree of errors.
"""

from collections.abc import Mapping
from types import MappingProxyType

STEPS_PT: Mapping[str, str] = MappingProxyType(
    {
        "CMP-NET-001": "Confira se o endereço está certo e o servidor no ar; a execução é tentada de novo sozinha.",
        "CMP-NET-002": "O servidor está lento ou sobrecarregado: tente um page_size menor na conta, ou outro horário.",
        "CMP-NET-003": "É tentado de novo sozinho. Se o servidor é seu, veja o log dele: pode faltar tempo ou memória.",
        "CMP-NET-004": "Um proxy ou o servidor cortou a resposta: tente um page_size menor na conta.",
        "CMP-NET-005": "Abra o url da conta num navegador: quem responde é um proxy, uma página de manutenção ou um"
        " caminho errado.",
        "CMP-NET-006": "Espere a pausa acabar: o servidor continua sozinho; sem ele, o próximo `comporta sync`.",
        "CMP-NET-007": "Nada a fazer: é tentado mais uma vez sozinho.",
        "CMP-NET-008": 'Inicie o Redis ou corrija `redis`; sem o outro: legacy_lock_without_redis = "database".',
        "CMP-NET-009": "Nada a fazer: são pedidos um a um; se todos falham, o problema está na fonte.",
        "CMP-SRC-001": "Rode `comporta check`; se a fonte foi atualizada, procure uma Comporta mais nova.",
        "CMP-SRC-002": "Confira o nome do fluxo e se o aplicativo que o traz está instalado na fonte.",
        "CMP-SRC-003": "Confira `fields` e `domain` do fluxo com a lista de campos da fonte.",
        "CMP-SRC-004": "Nada foi dado por lido. Se um módulo ou proxy na fonte altera a consulta, avise quem o mantém;"
        " senão, rode `comporta sync CONTA/FLUXO --full` e relate isto.",
        "CMP-SRC-005": "É tentada de novo sozinha; se continuar, veja `comporta reconcile CONTA/FLUXO`.",
        "CMP-SRC-006": "Confira as permissões e o domain da conta na fonte: ela conta registros que não lista.",
        "CMP-SRC-007": "Veja se a conta perdeu acesso a uma empresa ou equipe; a execução é tentada de novo sozinha.",
        "CMP-SRC-008": "Se foi trocada de propósito, crie uma conta nova, ou antes `comporta account remove NOME`.",
        "CMP-SRC-009": "Tire `protocol` da conta para que seja escolhido, ou use jsonrpc, xmlrpc ou json2.",
        "CMP-SRC-010": "Rode `comporta check`; se a API mudou, procure uma Comporta mais nova.",
        "CMP-AUTH-001": "Confira login e api_key da conta; a chave pode ter expirado (Odoo 19: no máximo 3 meses).",
        "CMP-AUTH-002": "Dê a este usuário acesso de leitura ao modelo na fonte, ou ponha `paused = true` no fluxo.",
        "CMP-AUTH-003": "Confira `database` da conta; a lista do servidor está na página /web/database/selector dele.",
        "CMP-AUTH-004": "Confira na fonte o que este usuário pode fazer.",
        "CMP-AUTH-005": "Autorize de novo: `comporta connect mercadolivre NOME`. Nada se perdeu; a próxima execução"
        " continua.",
        "CMP-AUTH-006": "Rode `comporta check`; se o acesso se perdeu: `comporta connect mercadolivre NOME`.",
        "CMP-AUTH-007": (
            "No centro de desenvolvedores do Mercado Livre, dê à aplicação a permissão funcional que falta (vendas e"
            " envios, ou publicação e sincronização) e autorize de novo: `comporta connect mercadolivre NOME`."
        ),
        "CMP-ROW-002": "Veja os motivos com `comporta quarantine`; as linhas que podiam ser gravadas foram mantidas.",
        "CMP-ROW-003": (
            "Olhe a fonte. Se as linhas sumiram mesmo: `comporta reconcile CONTA/FLUXO --repair --yes`, ou, se o fluxo"
            " é sempre lido inteiro, `comporta sync CONTA/FLUXO --yes`."
        ),
        "CMP-DB-001": "Feche os programas que mantêm o banco aberto para escrita (um visualizador, uma cópia); depois"
        " continua sozinho.",
        "CMP-DB-002": "Confira o espaço em disco e a saúde do banco (`comporta doctor`); se o arquivo foi trocado,"
        " reinicie `comporta serve`. Depois faça `comporta sync`, ou espere o próximo horário agendado.",
        "CMP-DB-003": "Instale a Comporta mais nova também nesta máquina; o banco não foi tocado.",
        "CMP-DB-004": "Ponha o arquivo SQLite num disco local, ou use PostgreSQL.",
        "CMP-DB-005": "Crie a pasta, ou dê a este usuário permissão de escrita no arquivo e na pasta dele.",
        "CMP-DB-006": "Renomeie sua tabela ou visão; a Comporta só substitui o que ela mesma fez.",
        "CMP-DB-007": "Confira `database`; se está danificado, reponha a última cópia: `comporta restore ARQUIVO`.",
        "CMP-DB-008": "Nada a fazer: o resultado é lido de volta antes que algo seja gravado de novo.",
        "CMP-DB-009": "Escreva o endereço do outro banco em `database` no comporta.toml, em todas as máquinas.",
        "CMP-DB-010": (
            "Confira host e porta em `database`, se o servidor está no ar, e se nenhum firewall fica no meio."
        ),
        "CMP-DB-011": "Nada a fazer: é tentado de novo sozinho. Se continuar, veja o log do servidor e a rede.",
        "CMP-DB-012": "Nada a fazer: é tentado de novo sozinho quando o servidor voltar.",
        "CMP-DB-013": (
            "Diminua pool_size em [postgres], feche conexões de outros programas, ou aumente o limite do servidor."
        ),
        "CMP-DB-014": (
            "Veja com `comporta doctor` se o servidor responde; se sim, aumente pool_size ou diminua workers."
        ),
        "CMP-DB-015": "Nada a fazer: é tentado de novo sozinho.",
        "CMP-DB-016": (
            "Procure em pg_stat_activity quem mantém a trava: uma transação aberta, uma cópia longa ou VACUUM."
        ),
        "CMP-DB-017": (
            "É tentado de novo sozinho; se continuar, o servidor está sobrecarregado ou o statement_timeout é curto."
        ),
        "CMP-DB-018": (
            "Nada a fazer: é tentado de novo sozinho. Acontece quando a máquina dorme ou está sobrecarregada."
        ),
        "CMP-DB-019": "Confira usuário e senha em `database`; @ : / ? # % e espaços neles são escritos com %.",
        "CMP-DB-020": "Copie de novo o endereço do session pooler na página Connect do projeto.",
        "CMP-DB-021": "Corrija o nome depois do último / em `database` (no Supabase é postgres), ou crie o banco.",
        "CMP-DB-022": "Ajuste sslmode em `database` ao servidor: `require`, ou `disable` numa rede só sua.",
        "CMP-DB-023": "Confira sslrootcert em `database`: o certificado da autoridade que assinou o do servidor.",
        "CMP-DB-024": "Relate isto, por favor, e use até lá o endereço do session pooler.",
        "CMP-DB-025": (
            "O Supabase faz isto quando o disco enche: veja o painel do projeto. Em outro lugar é uma"
            " réplica: use o principal."
        ),
        "CMP-DB-026": "Libere espaço no disco do servidor, ou aumente-o; nada foi gravado pela metade.",
        "CMP-DB-027": "O dono do banco deve dar a permissão; ou use o usuário dele em `database`.",
        "CMP-DB-028": "Crie um banco com ENCODING 'UTF8' TEMPLATE template0 e nomeie-o em `database`.",
        "CMP-RUN-001": "Nada a fazer: o sucessor continua onde terminou o último lote gravado.",
        "CMP-RUN-003": "A fonte não responde: olhe para ela; a execução é tentada de novo sozinha.",
        "CMP-RUN-004": "A próxima continua onde esta parou; aumente `timeout` do fluxo se ele sempre precisa de mais.",
        "CMP-RUN-006": "Nada a fazer: a próxima continua onde terminou o último lote gravado.",
        "CMP-RUN-007": "Nada a fazer: um sucessor continua. Descubra quem apaga a chave enquanto ela está tomada.",
        "CMP-SET-001": "Veja `comporta settings` e docs/reference/settings.md.",
        "CMP-SET-002": "Corrija a chave; docs/reference/settings.md lista todas.",
        "CMP-SET-003": "Corrija o valor; docs/reference/settings.md mostra a forma.",
        "CMP-SET-004": "Defina a variável ou o arquivo que ela nomeia, ou guarde o segredo com `comporta connect`.",
        "CMP-SET-006": "Restaure a chave mestra que é deste banco, ou guarde o segredo de novo: `comporta connect`.",
        "CMP-SET-008": "Instale: pip install 'comporta[redis]'.",
        "CMP-BUG-001": "É uma falha da própria Comporta: relate-a com o registro da execução (`comporta log ID`).",
        "CMP-ALERT-001": "Confira endereço, usuário, senha e rede do canal; depois teste-o: `comporta alerts test`.",
        "CMP-ALERT-002": "Instale o extra: pip install 'comporta[notify]'.",
    }
)
"""The next step of each error, by its code."""

SOURCE_STEPS_PT: Mapping[str, str] = MappingProxyType(
    {
        "Check api_key of the account: in ActiveCampaign it stands under Settings, Developer; each user has a key.": (
            "Confira api_key da conta: no ActiveCampaign ela está em Configurações, Desenvolvedor; cada usuário tem a"
            " sua."
        ),
        "Give the key's user the right to see this at ActiveCampaign, or set `paused = true` for the stream.": (
            "Dê ao usuário da chave o direito de ver isto no ActiveCampaign, ou ponha `paused = true` no fluxo."
        ),
        "Look at the account's subscription: it is suspended, or its plan has no deals.": (
            "Confira a assinatura da conta: está suspensa, ou o plano não tem negócios."
        ),
        "Run `comporta check`; if the API has changed, look for a newer Comporta.": (
            "Rode `comporta check`; se a API mudou, procure uma Comporta mais nova."
        ),
    }
)
"""The next steps that a source says itself, because the error's code does not tell enough: by the English."""
