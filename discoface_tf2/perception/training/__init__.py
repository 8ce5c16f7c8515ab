"""How the three perception networks are trained and tested."""
