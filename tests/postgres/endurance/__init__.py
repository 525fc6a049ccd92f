"""The service on PostgreSQL under fire: short forms with `make test-postgres`, long ones with `make endurance-postgres`."""
