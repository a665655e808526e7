"""What a request takes of the service, of its Valkey and of its PostgreSQL, and what a load needs by that."""
