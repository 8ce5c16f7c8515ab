"""Places behind a person, out of focus: rooms, streets, gardens, walls, lights at night."""
