"""The roles of the platform: groups, made by a migration, with the admin permissions each one has."""

from typing import Any

from django.apps import apps as global_apps

BUYER = "buyer"
OFFICER = "officer"
REVIEWER = "reviewer"
FINANCE = "finance"
ADMINISTRATOR = "administrator"

# What each role may do in the admin: {role: {"app.model": "v(iew) a(dd) c(hange)"}}. Nobody deletes.
PERMISSIONS: dict[str, dict[str, str]] = {
    BUYER: {},
    OFFICER: {},
    REVIEWER: {},
    FINANCE: {
        "payouts.bankaccount": "v",
        "payouts.payout": "v",
        "payouts.attempt": "v",
        "payouts.statementrow": "v",
        "payouts.alert": "v",
        "purchases.order": "v",
        "purchases.payment": "v",
        "purchases.refund": "v",
        "purchases.replacement": "v",
        "purchases.notification": "v",
        "purchases.transfer": "v",
        "purchases.bankfile": "v",
        "purchases.byhand": "v",
        "purchases.bill": "v",
        "purchases.difference": "v",
        "purchases.voucher": "va",
        "purchases.organisation": "vc",
        "ledger.account": "v",
        "ledger.entry": "v",
        "trees.household": "v",
    },
    ADMINISTRATOR: {
        "accounts.user": "vac",
        "trees.division": "v",
        "trees.species": "vac",
        "trees.programme": "vac",
        "trees.consenttext": "va",
        "trees.household": "v",
        "trees.tree": "v",
        "trees.flag": "v",
        "trees.review": "v",
        "trees.secondlook": "v",
        "trees.secondlookdraw": "v",
        "trees.import": "va",
        "purchases.tariff": "vac",
        "purchases.campaign": "v",
        "purchases.stock": "v",
        "purchases.order": "v",
        "purchases.organisation": "vc",
    },
}
_ACTIONS = {"v": "view", "a": "add", "c": "change"}


def grant_permissions(apps: Any = global_apps, **_: Any) -> None:
    """Gives each role's group exactly the permissions listed above that exist by now."""
    Group = global_apps.get_model("auth", "Group")
    Permission = global_apps.get_model("auth", "Permission")
    for role, models in PERMISSIONS.items():
        group, _made = Group.objects.get_or_create(name=role)
        wanted: list[Any] = []
        for label, letters in models.items():
            app_label, model = label.split(".")
            codenames = [f"{_ACTIONS[letter]}_{model}" for letter in letters]
            wanted += Permission.objects.filter(content_type__app_label=app_label, codename__in=codenames)
        group.permissions.set(wanted)
