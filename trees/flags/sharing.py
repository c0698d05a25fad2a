"""What households share and should not: a mobile number, an account, an ID number."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from carbonsink import crypto
from carbonsink.accounts.models import User
from trees.flags.raising import raise_flag
from trees.models import Flag, Household

CHUNK = 2_000


def look_at_households(household_ids: Iterable[int]) -> int:
    """Raises a flag about each of these households whose mobile number another one has, and about the others; returns
    how many. The number is found under every look-up key."""
    ids = sorted(set(household_ids))
    raised = 0
    for start in range(0, len(ids), CHUNK):
        phones = Household.objects.filter(pk__in=ids[start : start + CHUNK]).values_list("phone", flat=True)
        current = {digest: digests[0] for digests in map(crypto.digests, phones) for digest in digests}
        groups = defaultdict(list)
        having = Household.objects.filter(phone_digest__in=current).order_by("pk")
        for pk, digest in having.values_list("pk", "phone_digest"):
            groups[current[digest]].append(pk)
        raised += raise_shared(Flag.Kind.SHARED_PHONE, groups.values())
    return raised


def raise_shared(kind: str, groups: Iterable[Sequence[int]], *, about: str = "") -> int:
    """Raises a flag about every household of each group that shares something; returns how many are new.

    One flag each, towards the first of the group, and of the first towards the second: a number that a thousand
    households "have" must not make a million flags. What was raised once about two of them, settled or not, is not
    raised again; `about` says what it is that they share, where it can be more than one thing.
    """
    pairs: dict[tuple[int, int], int] = {}
    for group in groups:
        first, *others = sorted(set(group))
        pairs |= {(other, first): len(others) + 1 for other in others}
        pairs |= {(first, other): len(others) + 1 for other in others[:1]}
    if not pairs:
        return 0
    raised = Flag.objects.filter(kind=kind, household__in={one for one, _ in pairs}, tree__isnull=True, about=about)
    known = set(raised.values_list("household", "other_household"))
    flags = [
        Flag(kind=kind, household_id=one, other_household_id=other, about=about, evidence={"households": count})
        for (one, other), count in pairs.items()
        if (one, other) not in known
    ]
    Flag.objects.bulk_create(flags, ignore_conflicts=True, batch_size=2000)
    return len(flags)


def raise_reused_id(id_number: str, *, officer: User, village_code: str) -> None:
    """Raises a flag about the household that has this ID number, because somebody tried to register another with it.
    The evidence names who and where, and nothing of the person's."""
    for household in Household.objects.filter(id_number_digest__in=crypto.digests(id_number)):
        raise_flag(Flag.Kind.SHARED_ID, household=household, officer=officer.pk, village=village_code)
