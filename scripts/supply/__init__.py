"""What the service is made of: its packages with their hashes and licences, and no secret among its files."""
