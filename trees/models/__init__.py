"""The registry's nouns."""

from trees.models.households import Consent, ConsentText, Household
from trees.models.places import Division, Programme, Species
from trees.models.stand import Enrolment, Photo, Review, Tree

__all__ = [
    "Consent",
    "ConsentText",
    "Division",
    "Enrolment",
    "Household",
    "Photo",
    "Programme",
    "Review",
    "Species",
    "Tree",
]
