"""Bank and CNAPS code are encrypted like holder and number, and the seal covers the bank's name and the phone too.

A version whose former seal does not fit keeps it: it was changed by hand, and stays refused. The seal never changes any
more; what renews ciphertext (`rotate_keys`) may not write another one.
"""

from typing import Any

from django.db import migrations

import carbonsink.crypto
from carbonsink import crypto

AT_ONCE = 1_000
_READ = """
    SELECT b.id, h.public_id, b.version::text, b.bank_code, b.bank_name, b.number, b.holder, b.phone, b.seal
      FROM payouts_bankaccount b JOIN trees_household h ON h.id = b.household_id
     WHERE b.id > %s ORDER BY b.id LIMIT %s"""
_WRITE = """
    UPDATE payouts_bankaccount b SET bank_name = n.bank_name, bank_code = n.bank_code, seal = n.seal
      FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) n(id, bank_name, bank_code, seal)
     WHERE b.id = n.id"""

DROP = "DROP TRIGGER payouts_bankaccount_fixed ON payouts_bankaccount"
GUARD = """
DROP TRIGGER payouts_bankaccount_number_fixed ON payouts_bankaccount;
CREATE TRIGGER payouts_bankaccount_fixed BEFORE UPDATE OF household_id, version, entered_by_id, entered_at OR DELETE
    ON payouts_bankaccount FOR EACH ROW EXECUTE FUNCTION carbonsink_refuse_change();
CREATE TRIGGER payouts_bankaccount_number_fixed BEFORE UPDATE ON payouts_bankaccount FOR EACH ROW
    WHEN (split_part(OLD.number_digest, ':', 1) = split_part(NEW.number_digest, ':', 1)
          AND (OLD.number_digest, OLD.holder_digest, OLD.seal)
              IS DISTINCT FROM (NEW.number_digest, NEW.holder_digest, NEW.seal))
    EXECUTE FUNCTION carbonsink_refuse_change();
"""


def encrypt(_apps: Any, schema_editor: Any) -> None:
    """Encrypts bank and code of all versions and seals anew those whose seal fits."""
    last = 0
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(_READ, [last, AT_ONCE])
            rows = cursor.fetchall()
            if not rows:
                return
            last = rows[-1][0]
            cursor.execute(_WRITE, [list(column) for column in zip(*map(_encrypted, rows), strict=True)])


def _encrypted(row: tuple[Any, ...]) -> tuple[int, str, str, str]:
    pk, public_id, version, code, name, *ciphertexts, seal = row
    number, holder, phone = (crypto.fernet().decrypt(text.encode()).decode() for text in ciphertexts)
    former = [public_id, version, code, number, holder]
    if seal in crypto.digests("|".join(former)):
        seal = crypto.digest("|".join([*former, name, phone]))
    return pk, _cipher(name), _cipher(code), seal


def _cipher(text: str) -> str:
    return crypto.fernet().encrypt(text.encode()).decode()


class Migration(migrations.Migration):
    dependencies = [("payouts", "0021_one_content"), ("trees", "0014_flag_about")]
    operations = [
        migrations.RunSQL(DROP),
        migrations.AlterField("bankaccount", "bank_name", carbonsink.crypto.EncryptedField(verbose_name="bank")),
        migrations.AlterField(
            "bankaccount", "bank_code", carbonsink.crypto.EncryptedField(verbose_name="bank code (CNAPS)")
        ),
        migrations.RunPython(encrypt),
        migrations.RunSQL(GUARD),
    ]
