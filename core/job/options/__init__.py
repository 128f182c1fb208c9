"""Options of a job: the table in which each is declared once, their places and texts."""
