from trees.management.importing import ImportCommand
from trees.models import Import


class Command(ImportCommand):
    """Loads trees. They wait for their photos and for a reviewer, who is not the one who loaded them."""

    help = (
        "Load trees from a CSV or XLSX file: household (code, public id or ID number of its head), species, dbh_cm or "
        "girth_cm or planted_year, lon, lat, accuracy_m, measured_on. All rows or none; --partial stores the "
        "good ones. Exits 1 when rows are refused."
    )
    kind = Import.Kind.TREES
