"""The platform's own app: one archive and one route, apart from every team's app."""
