"""Invented names: Brazilian in sound and accents, of nobody and no company that exists.

Surnames and trade names are made-up words, so that no combination can be a living person's.
"""

from random import Random

FIRST = (
    "Açucena", "Adélia", "Antônio", "Cecília", "Conceição", "Damião", "Eulália", "Fabrício", "Gonçalo", "Inês",
    "João", "Júlia", "Lúcio", "Mônica", "Natália", "Otávio", "Patrícia", "Romão", "Sebastião", "Valéria",
)  # fmt: skip
LAST = (
    "Bravalume", "Campestrão", "Dorvalínea", "Estrevão", "Ferrúngia", "Galhardónio", "Ipêmarante", "Juvência",
    "Lagoéria", "Marapeçu", "Nhandirá", "Orvalhança", "Pitanguaçá", "Quebralém", "Ribeirânia", "Sertanópio",
)  # fmt: skip
TRADES = (
    "Padaria", "Mercearia", "Distribuidora", "Farmácia", "Papelaria", "Confecções", "Açougue", "Empório", "Livraria",
    "Comércio de Peças", "Armarinho", "Laticínios",
)  # fmt: skip
PLACES = ("do Açude", "Três Ipês", "São Ninguém", "da Várzea", "Sabiá-Laranja", "Pedra Fôfa", "Maré Alta", "Céu Anil")
CITIES = (
    ("São Ninguém", 1), ("Ribeirão das Nuvens", 1), ("Água Sonora", 2), ("Pedra Fôfa", 3), ("Vila Caçapoã", 2),
)  # fmt: skip
STREETS = ("Rua das Acácias", "Avenida da Imaginação", "Travessa São Nunca", "Rua Coração de Maçã", "Praça do Pião")
THINGS = (
    "Caneca", "Camiseta", "Açucareiro", "Lâmpada", "Colchão", "Xícara", "Violão", "Cadeira", "Pião", "Coador de café",
    "Guarda-chuva", "Relógio", "Óculos", "Mochila", "Balança", "Fogão",
)  # fmt: skip
KINDS = ("Azul", "Algodão", "Clássica", "Édition 1", "de Cerâmica", "Portátil", "Júnior", "nº 7", "Pé-de-moleque")
NOTES = ("Entregar pela manhã", "Não dobrar", "Ligar antes: portão à esquerda", "Conferir embalagem\nFrágil")
SECTIONS = ("Produtos", "Promoção", "Reposição", "Peças e acessórios")


def person(rng: Random) -> str:
    """Return a first name and a made-up surname."""
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def company(rng: Random) -> str:
    """Return a trade name."""
    return f"{rng.choice(TRADES)} {rng.choice(PLACES)} {rng.choice(('Ltda', 'ME', 'S/A'))}"


def product(rng: Random) -> str:
    """Return a thing somebody might sell."""
    return f"{rng.choice(THINGS)} {rng.choice(KINDS)}"


def tax_number(number: int) -> str:
    """Return a number in the form of a CNPJ whose check digits are wrong on purpose.

    >>> tax_number(42)
    '99.000.042/0001-00'
    """
    digits = f"{number:06d}"
    return f"99.{digits[:3]}.{digits[3:6]}/0001-00"
