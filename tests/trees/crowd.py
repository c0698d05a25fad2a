"""Trees by the thousand, written by SQL: what the desk must be quick with."""

from django.db import connection

from tests import factories
from trees.models import Household, Tree

# Copies of a tree with an accepted picture: each has its own number, ordinal and photo, and waits for a review.
_TREES = """
    WITH made AS (
        INSERT INTO trees_tree (number, client_uuid, body_hash, household_id, ordinal, species_id, dbh_cm, lon, lat,
                                accuracy_m, measured_on, state, registered_by_id, measured_by_id, registered_at, revision,
                                picture_id)
        SELECT lpad((h.id * 1000 + n)::text, 19, '0'), gen_random_uuid(), '', h.id, n, t.species_id, 5 + n %% 40,
               108.9 + h.id %% 100 / 1000.0 + n / 100000.0, 25.9 + h.id %% 70 / 1000.0 + n / 200000.0, 8, t.measured_on,
               'submitted', t.registered_by_id, t.measured_by_id, now() - n * interval '1 minute', 1,
               nextval('trees_photo_id_seq')
          FROM trees_tree t, trees_household h, generate_series(1, %s) n
         WHERE t.id = %s AND h.id = ANY(%s) RETURNING id, picture_id
    ), photographed AS (
        INSERT INTO trees_photo (id, tree_id, sha256, original, state, refusal, large, small, dhash, tries, received_at,
                                 uploaded_by_id)
        SELECT m.picture_id, m.id, p.sha256, p.original, 'accepted', '', p.large, p.small, 0, 1, now(), p.uploaded_by_id
          FROM made m, trees_photo p WHERE p.id = %s RETURNING id
    ) SELECT count(*) FROM photographed"""
_HOUSEHOLDS = """
    WITH made AS (
        INSERT INTO trees_household (public_id, client_uuid, body_hash, programme_id, village_id, ordinal, head_name,
            head_name_digest, id_number, id_number_digest, phone, phone_digest, category, area_mu, tenure, tenure_number,
            trees_numbered, registered_by_id, registered_at)
        SELECT substr(md5(v || n::text), 1, 20), gen_random_uuid(), '', programme_id, v, n, head_name, head_name_digest,
               id_number, v || n::text, phone, phone_digest, category, area_mu, tenure, tenure_number, 0,
               registered_by_id, now()
          FROM trees_household h, unnest(%s::text[]) v, generate_series(101, 100 + %s) n WHERE h.id = %s RETURNING id
    ), consented AS (
        INSERT INTO trees_consent (household_id, text_id, signed_at)
        SELECT m.id, c.text_id, now() FROM made m, trees_consent c WHERE c.household_id = %s RETURNING household_id
    ) SELECT household_id FROM consented"""


def households(villages: list[str], each: int) -> list[int]:
    """So many households in each of these villages; their ids."""
    owner = factories.household()
    with connection.cursor() as cursor:
        cursor.execute(_HOUSEHOLDS, [villages, each, owner.pk, owner.pk])
        return [row[0] for row in cursor.fetchall()]


def waiting_trees(owners: list[int], each: int) -> int:
    """So many trees of each of these households that wait for a review; how many that are."""
    tree = Tree.objects.filter(picture__isnull=False).first() or factories.tree()
    tree.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute(_TREES, [each, tree.pk, owners, tree.picture_id])
        (count,) = cursor.fetchone()
        Household.objects.filter(pk__in=owners).update(trees_numbered=each)
        cursor.execute("ANALYZE trees_tree, trees_household, trees_photo, trees_flag")
    return int(count)
