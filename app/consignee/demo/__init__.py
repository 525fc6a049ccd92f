"""The demonstration: a real S3 server beside consignee, both on loopback."""
