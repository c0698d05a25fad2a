"""Files of households and trees, from their columns to the registry: read, staged, checked, stored, reported."""
