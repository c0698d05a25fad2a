from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "carbonsink.ledger"
    label = "ledger"
