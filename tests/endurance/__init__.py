"""Deliveries under load and under fire. The short forms run with the other tests, the long ones with `make endurance`."""
