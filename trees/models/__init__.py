"""The registry's nouns."""

from trees.models.growth import Correction, Inspection
from trees.models.households import Consent, ConsentText, Household
from trees.models.imports import Import, ImportProblem
from trees.models.photos import Photo, PhotoMarks, Upload, UploadPart
from trees.models.places import Boundary, Division, Programme, Species
from trees.models.reviews import Flag, Review, SecondLook, SecondLookDraw
from trees.models.stand import Enrolment, Tree

__all__ = [
    "Boundary",
    "Consent",
    "ConsentText",
    "Correction",
    "Division",
    "Enrolment",
    "Flag",
    "Household",
    "Import",
    "ImportProblem",
    "Inspection",
    "Photo",
    "PhotoMarks",
    "Programme",
    "Review",
    "SecondLook",
    "SecondLookDraw",
    "Species",
    "Tree",
    "Upload",
    "UploadPart",
]
