"""Records that are told of by another name than their key: which of ours are meant.

Such a hint is ``column=value``; it becomes one at each record of ours that bears the value, in a list inside it too. A
value that none bears is let go: whoever comes to bear it is told of by its own key, or listed.
"""

from dataclasses import replace

from comporta.core.hint import Hint
from comporta.core.record import Key, Shape
from comporta.engine.work import Work
from comporta.ports.store import Batch

NAMES_MAX = 10_000
"""Names that are looked up at the beginning of a run; more are for the next one."""


def is_named(shape: Shape, told: Hint) -> bool:
    """Say whether a hint names records by another column than their key."""
    return shape.also_named is not None and told.key.startswith(f"{shape.also_named}=")


async def hint_at_named(work: Work) -> None:
    """Hint at the records that are meant, then take away the hints that named them so."""
    column = work.shape.also_named
    if column is None or work.run.dry_run:
        return
    told = await work.store.hints(work.scope, NAMES_MAX, due=work.clock.now())
    named = [each for each in told if is_named(work.shape, each)]
    if not named:
        return
    names: list[Key] = [each.key.partition("=")[2] for each in named]
    keys = set[Key]()
    for shape, key in ((work.shape, work.shape.key), *((each, each.parent) for each in work.shape.nested)):
        if key is not None and any(each.name == column for each in shape.columns):
            keys |= await work.store.children(work.account, replace(shape, key=key, parent=column), names)
    await work.store.look_again(work.lease, sorted(keys, key=str))
    await work.write(Batch(work.shape, handled_hints=named))
