"""PostgreSQL: connections that come back, what failures mean, and the numbered changes of the schema."""
