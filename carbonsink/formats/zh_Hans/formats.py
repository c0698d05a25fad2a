"""What Django's own formats lack: Chinese readers group digits by three too."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
