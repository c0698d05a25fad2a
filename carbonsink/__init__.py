"""Ground floor: settings and what every app stands on. Imports no domain app."""
