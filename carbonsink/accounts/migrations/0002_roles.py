"""The roles, as groups. Their permissions are given after all migrations (accounts.roles.grant_permissions)."""

from typing import Any

from django.db import migrations

ROLES = ["buyer", "officer", "reviewer", "finance", "administrator"]


def make_roles(apps: Any, schema_editor: Any) -> None:
    Group = apps.get_model("auth", "Group")
    for role in ROLES:
        Group.objects.get_or_create(name=role)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
